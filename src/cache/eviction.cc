#include "cache/eviction.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <thread>
#include <tuple>
#include <unordered_map>

#include "base/log.h"
#include "cache/unfinished.h"

namespace imgcachefs {
namespace {

// A map younger than this may be one that is being written under a temporary name.
constexpr std::chrono::seconds kMapGrace{60};

struct Candidate {
  StoredFile file;
  Place place;
  WallTime used;

  uint64_t bytes() const { return counted_bytes(place, file.st); }
};

WallTime last_touched(const struct stat& st) {
  return std::max(wall_time(st.st_atim), wall_time(st.st_mtim));
}

// Which incomplete files are in use though nobody of ours has them: Glance's own, which it renames
// by name when it is done, whatever has the name by then.
enum class Strangers {
  kOpen,        // those that are open
  kOpenOrFresh  // or may be between their last byte and the rename
};

bool used_by_stranger(const CacheLayout& layout, const ImageId& id, int fd, const struct stat& st,
                      Strangers strangers) {
  if (strangers == Strangers::kOpen) return posix::open_elsewhere(fd).value_or(false);
  const int maps = layout.dir(Place::kMaps);
  return is_filled_by_others(fd, st, maps >= 0 && posix::stat_at(maps, id.str()).has_value());
}

// The file, held so that nobody opens it. kBusy: in use. kNotFound: gone, or not the same any more.
Result<UniqueFd> hold(const CacheLayout& layout, Place place, const ImageId& id,
                      Strangers strangers) {
  const int dir = layout.dir(place);
  if (dir < 0) return fail(ErrorKind::kNotFound, id.str());
  auto fd = posix::open_at(dir, id.str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return fd;
  auto locked = posix::try_lock(fd->get(), posix::LockMode::kExclusive);
  if (!locked && locked.error().kind == ErrorKind::kBusy)
    return fail(ErrorKind::kBusy, fmt::format("{}: in use", id.str()));
  if (!locked) return fail(locked.error().in(id.str()));
  auto held = posix::stat_fd(fd->get());
  auto named = posix::stat_at(dir, id.str());
  if (!held) return fail(held.error().in(id.str()));
  if (!named) return fail(named.error());
  if (!S_ISREG(held->st_mode) || held->st_ino != named->st_ino || held->st_dev != named->st_dev)
    return fail(ErrorKind::kNotFound, fmt::format("{}: changed meanwhile", id.str()));
  if (place == Place::kIncomplete && used_by_stranger(layout, id, fd->get(), *held, strangers))
    return fail(ErrorKind::kBusy, fmt::format("{}: being filled by another program", id.str()));
  return fd;
}

// Removes a file that the caller holds. First the file and then the row: a row without file is
// nothing to anybody, a file without row would never be pruned by Glance.
Status remove_held(const CacheLayout& layout, CacheIndex* index, Place place, const ImageId& id) {
  if (place == Place::kIncomplete && layout.dir(Place::kMaps) >= 0)
    if (auto gone = posix::unlink_if_there_at(layout.dir(Place::kMaps), id.str()); !gone)
      return gone;
  if (auto gone = posix::unlink_if_there_at(layout.dir(place), id.str()); !gone) return gone;
  if (place != Place::kCached || index == nullptr) return {};
  if (auto forgotten = index->remove(id); !forgotten)
    spdlog::warn("{}: evicted, but its row stays in the index for now: {}", id.str(),
                 forgotten.error().message);
  return {};
}

// Removes one file, or says whether it could be. False: it stays, which is no error.
bool take(const CacheLayout& layout, CacheIndex* index, Place place, const ImageId& id,
          Strangers strangers, bool dry_run) {
  Status done;
  UniqueFd held;
  // Nobody is given an invalid image any more, so those need not be held: who has one open keeps
  // it.
  if (place != Place::kInvalid) {
    auto fd = hold(layout, place, id, strangers);
    if (fd)
      held = std::move(*fd);
    else
      done = fail(fd.error());
  }
  if (done && !dry_run) done = remove_held(layout, index, place, id);
  if (done) return true;
  if (done.error().kind != ErrorKind::kBusy && done.error().kind != ErrorKind::kNotFound)
    spdlog::warn("cannot remove an image from the cache: {}", done.error().message);
  return false;
}

void count(Removals& removals, const ImageId& id, Place place, uint64_t bytes) {
  removals.files.push_back({id, place, bytes});
  removals.bytes += bytes;
}

// Everything that may go unless it is in use, in the order it should.
struct Candidates {
  std::vector<Candidate> order;
  uint64_t total = 0;  // what all images count for, the pinned ones too
};

Result<Candidates> candidates(const CacheLayout& layout, CacheIndex* index) {
  std::unordered_map<std::string, IndexRecord> rows;
  if (index != nullptr) {
    auto all = index->all();
    if (!all) return fail(all.error());  // without it we would not know what is pinned
    for (IndexRecord& row : *all) rows.emplace(row.id.str(), std::move(row));
  }
  Candidates found;
  for (Place place : {Place::kInvalid, Place::kCached, Place::kIncomplete}) {
    auto files = layout.list(place);
    if (!files) return fail(files.error());
    for (StoredFile& file : *files) {
      Candidate candidate{std::move(file), place, {}};
      candidate.used = last_touched(candidate.file.st);
      found.total += candidate.bytes();
      auto row = rows.find(candidate.file.id.str());
      if (place == Place::kCached && row != rows.end()) {
        if (row->second.pinned) continue;
        candidate.used = row->second.last_accessed;
      }
      found.order.push_back(std::move(candidate));
    }
  }
  std::sort(found.order.begin(), found.order.end(), [](const Candidate& a, const Candidate& b) {
    const bool a_keeps = a.place != Place::kInvalid, b_keeps = b.place != Place::kInvalid;
    return std::tie(a_keeps, a.used, a.file.id) < std::tie(b_keeps, b.used, b.file.id);
  });
  return found;
}

Removals take_while(const CacheLayout& layout, CacheIndex* index,
                    const std::vector<Candidate>& order, bool dry_run,
                    const std::function<bool(uint64_t freed)>& wanted) {
  Removals removals;
  for (const Candidate& candidate : order) {
    if (!wanted(removals.bytes)) break;
    if (take(layout, index, candidate.place, candidate.file.id, Strangers::kOpenOrFresh, dry_run))
      count(removals, candidate.file.id, candidate.place, candidate.bytes());
  }
  return removals;
}

void clean_maps(const CacheLayout& layout, WallTime now, bool dry_run) {
  auto maps = layout.list(Place::kMaps);
  if (!maps || dry_run) return;
  for (const StoredFile& map : *maps) {
    if (now - wall_time(map.st.st_mtim) < kMapGrace) continue;
    auto image = posix::stat_at(layout.dir(Place::kIncomplete), map.id.str());
    if (!image && image.error().kind == ErrorKind::kNotFound)
      if (auto gone = posix::unlink_if_there_at(layout.dir(Place::kMaps), map.id.str()); !gone)
        spdlog::warn("cannot remove a map: {}", gone.error().message);
  }
}

}  // namespace

Status lock_in_use(int fd) {
  Status locked = posix::try_lock(fd, posix::LockMode::kShared);
  for (int attempt = 0; !locked && locked.error().kind == ErrorKind::kBusy && attempt < 200;
       ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    locked = posix::try_lock(fd, posix::LockMode::kShared);
  }
  return locked;
}

uint64_t counted_bytes(Place place, const struct stat& st) {
  constexpr uint64_t kBlock = 512;  // st_blocks' unit, whatever the file system's
  return place == Place::kCached ? static_cast<uint64_t>(st.st_size)
                                 : static_cast<uint64_t>(st.st_blocks) * kBlock;
}

Result<Removals> evict(const CacheLayout& layout, CacheIndex* index, const ImageId& id) {
  if (index != nullptr) {
    auto row = index->find(id);
    // Not with its own kind: "busy" would say that the image is in use.
    if (!row) return fail(ErrorKind::kIo, row.error().message);
    // The file is asked for too: a row of an image that is gone pins nothing.
    if (*row && (*row)->pinned && posix::stat_at(layout.dir(Place::kCached), id.str()))
      return fail(ErrorKind::kBusy, fmt::format("{}: pinned", id.str()));
  }
  struct Held {
    Place place;
    UniqueFd fd;
    uint64_t bytes;
  };
  std::vector<Held> all;
  for (Place place : {Place::kCached, Place::kIncomplete}) {
    auto fd = hold(layout, place, id, Strangers::kOpenOrFresh);
    if (!fd && fd.error().kind == ErrorKind::kNotFound) continue;
    if (!fd) return fail(fd.error());
    auto st = posix::stat_fd(fd->get());
    if (!st) return fail(st.error().in(id.str()));
    all.push_back({place, std::move(*fd), counted_bytes(place, *st)});
  }
  if (all.empty()) return fail(ErrorKind::kNotFound, fmt::format("{}: not cached", id.str()));
  Removals removals;
  for (const Held& held : all) {
    if (auto done = remove_held(layout, index, held.place, id); !done) return fail(done.error());
    count(removals, id, held.place, held.bytes);
  }
  return removals;
}

Result<Removals> prune(const CacheLayout& layout, CacheIndex* index, uint64_t max_size,
                       bool dry_run) {
  auto found = candidates(layout, index);
  if (!found) return fail(found.error());
  return take_while(layout, index, found->order, dry_run, [&](uint64_t freed) {
    return found->total - std::min(freed, found->total) > max_size;
  });
}

Result<Removals> free_space(const CacheLayout& layout, CacheIndex* index, uint64_t bytes,
                            bool dry_run) {
  auto found = candidates(layout, index);
  if (!found) return fail(found.error());
  return take_while(layout, index, found->order, dry_run,
                    [&](uint64_t freed) { return freed < bytes; });
}

Result<Removals> clean(const CacheLayout& layout, std::chrono::seconds stall_time, bool dry_run) {
  const WallTime now = std::chrono::system_clock::now();
  Removals removals;
  for (Place place : {Place::kInvalid, Place::kIncomplete}) {
    auto files = layout.list(place);
    if (!files) return fail(files.error());
    for (const StoredFile& file : *files) {
      const bool fresh = stall_time.count() > 0 && now - wall_time(file.st.st_mtim) <= stall_time;
      if (place == Place::kIncomplete && fresh) continue;
      // How long nobody must have written to it is the caller's word.
      if (take(layout, nullptr, place, file.id, Strangers::kOpen, dry_run))
        count(removals, file.id, place, counted_bytes(place, file.st));
    }
  }
  clean_maps(layout, now, dry_run);
  return removals;
}

}  // namespace imgcachefs
