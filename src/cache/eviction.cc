#include "cache/eviction.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <optional>
#include <thread>
#include <tuple>
#include <unordered_map>

#include "base/log.h"
#include "cache/removal.h"

namespace imgcachefs {
namespace {

// A map younger than this may be one that is being written under a temporary name.
constexpr std::chrono::seconds kMapGrace{60};

// An index keeps times less precisely than memory does.
constexpr std::chrono::milliseconds kRounding{1};

struct Candidate {
  ImageId id;
  Place place;
  WallTime used;
  uint64_t bytes = 0;  // counted_bytes of it
};

WallTime last_touched(const struct stat& st) {
  return std::max(wall_time(st.st_atim), wall_time(st.st_mtim));
}

void count(Removals& removals, const ImageId& id, Place place, uint64_t bytes) {
  removals.files.push_back({id, place, bytes});
  removals.bytes += bytes;
}

// Invalid ones first, the others as they were used.
bool goes_before(const Candidate& a, const Candidate& b) {
  const bool a_keeps = a.place != Place::kInvalid, b_keeps = b.place != Place::kInvalid;
  return std::tie(a_keeps, a.used, a.id) < std::tie(b_keeps, b.used, b.id);
}

// Everything that may go unless it is in use, in the order it should.
struct Candidates {
  std::vector<Candidate> order;
  uint64_t total = 0;  // what all images count for, the pinned ones too
};

struct RowSaid {
  WallTime used;
  bool pinned;
};
using RowsSaid = std::unordered_map<ImageId, RowSaid>;

Status add_candidates(const CacheLayout& layout, Place place, const RowsSaid& rows,
                      Candidates& found) {
  return layout.each(place, [&](StoredFile file) -> Status {
    Candidate candidate{std::move(file.id), place, last_touched(file.st),
                        counted_bytes(place, file.st)};
    found.total += candidate.bytes;
    if (auto row = rows.find(candidate.id); place == Place::kCached && row != rows.end()) {
      if (row->second.pinned) return {};
      candidate.used = row->second.used;
    }
    found.order.push_back(std::move(candidate));
    return {};
  });
}

Result<Candidates> candidates(const CacheLayout& layout, CacheIndex* index) {
  RowsSaid rows;
  if (index != nullptr) {
    auto read = index->each([&](IndexRecord row) -> Status {
      rows.emplace(std::move(row.id), RowSaid{row.last_accessed, row.pinned});
      return {};
    });
    if (!read) return fail(read.error());  // without it we would not know what is pinned
  }
  Candidates found;
  for (Place place : {Place::kInvalid, Place::kCached, Place::kIncomplete})
    if (auto added = add_candidates(layout, place, rows, found); !added) return fail(added.error());
  std::sort(found.order.begin(), found.order.end(), goes_before);
  return found;
}

// As the file and the index say it now. nullopt: it is to stay, or gone already.
std::optional<Candidate> candidate_of(const CacheLayout& layout, CacheIndex& index,
                                      const LastUse& use) {
  auto st = posix::stat_at(layout.dir(Place::kCached), use.id.str());
  if (!st || !S_ISREG(st->st_mode)) return std::nullopt;
  auto row = index.find(use.id);
  // Without its row we would not know whether it is pinned.
  if (!row || !*row || (*row)->pinned) return std::nullopt;
  if ((*row)->last_accessed > use.when + kRounding) return std::nullopt;
  return Candidate{use.id, Place::kCached, use.when, counted_bytes(Place::kCached, *st)};
}

Removals take_while(const CacheLayout& layout, CacheIndex* index,
                    const std::vector<Candidate>& order, bool dry_run,
                    const std::function<bool(uint64_t freed)>& wanted) {
  Removals removals;
  size_t forgotten = 0;
  for (const Candidate& candidate : order) {
    if (!wanted(removals.bytes)) break;
    if (!remove_unused(layout, candidate.place, candidate.id, Strangers::kOpenOrFresh, dry_run))
      continue;
    count(removals, candidate.id, candidate.place, candidate.bytes);
    if (dry_run || removals.files.size() < forgotten + kRowsAtOnce) continue;
    forget_rows(layout, index, removals.files, forgotten);
    forgotten = removals.files.size();
  }
  if (!dry_run) forget_rows(layout, index, removals.files, forgotten);
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

// A row without file is nothing to anybody; a file without row would never be pruned by Glance.
void forget_rows(const CacheLayout& layout, CacheIndex* index, const std::vector<Removed>& files,
                 size_t from) {
  if (index == nullptr) return;
  std::vector<ImageId> gone;
  for (size_t i = from; i < files.size(); ++i) {
    // It may have been cached anew already.
    if (files[i].place == Place::kCached &&
        !posix::stat_at(layout.dir(Place::kCached), files[i].id.str()))
      gone.push_back(files[i].id);
  }
  if (gone.empty()) return;
  if (auto forgotten = index->remove(gone); !forgotten)
    spdlog::warn("{} images evicted ({}, ...), but their rows stay in the index for now: {}",
                 gone.size(), gone.front().str(), forgotten.error().message);
}

Result<Removals> evict_files(const CacheLayout& layout, CacheIndex* index, const ImageId& id) {
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
    auto fd = hold_unused(layout, place, id, Strangers::kOpenOrFresh);
    if (!fd && fd.error().kind == ErrorKind::kNotFound) continue;
    if (!fd) return fail(fd.error());
    auto st = posix::stat_fd(fd->get());
    if (!st) return fail(st.error().in(id.str()));
    all.push_back({place, std::move(*fd), counted_bytes(place, *st)});
  }
  if (all.empty()) return fail(ErrorKind::kNotFound, fmt::format("{}: not cached", id.str()));
  Removals removals;
  for (const Held& held : all) {
    if (auto done = remove_held(layout, held.place, id); !done) return fail(done.error());
    count(removals, id, held.place, held.bytes);
  }
  return removals;
}

Result<Removals> evict(const CacheLayout& layout, CacheIndex* index, const ImageId& id) {
  auto removals = evict_files(layout, index, id);
  if (removals) forget_rows(layout, index, removals->files);
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

Result<Removals> free_space(const CacheLayout& layout, CacheIndex& index,
                            std::vector<LastUse>& order, uint64_t bytes) {
  Candidates others;  // few
  for (Place place : {Place::kInvalid, Place::kIncomplete})
    if (auto added = add_candidates(layout, place, {}, others); !added) return fail(added.error());
  std::sort(others.order.begin(), others.order.end(), goes_before);
  std::vector<Candidate> chosen;
  uint64_t sum = 0;
  const auto choose = [&](Candidate candidate) {
    if (!remove_unused(layout, candidate.place, candidate.id, Strangers::kOpenOrFresh, true))
      return;
    sum += candidate.bytes;
    chosen.push_back(std::move(candidate));
  };
  auto other = others.order.begin();
  size_t looked_at = 0;
  std::vector<LastUse> again;
  for (; sum < bytes && looked_at < order.size(); ++looked_at) {
    LastUse& use = order[looked_at];
    auto cached = candidate_of(layout, index, use);
    if (!cached) continue;
    for (; sum < bytes && other != others.order.end() && goes_before(*other, *cached); ++other)
      choose(std::move(*other));
    if (sum >= bytes) break;
    choose(std::move(*cached));
    again.push_back(std::move(use));  // in use now, or kept for now
  }
  for (; sum < bytes && other != others.order.end(); ++other) choose(std::move(*other));
  order.erase(order.begin(), order.begin() + static_cast<ptrdiff_t>(looked_at));
  Removals removals;
  if (sum >= bytes)
    removals = take_while(layout, &index, chosen, false, [](uint64_t) { return true; });
  std::erase_if(again, [&](const LastUse& use) {
    return std::any_of(removals.files.begin(), removals.files.end(), [&](const Removed& file) {
      return file.place == Place::kCached && file.id == use.id;
    });
  });
  order.insert(order.begin(), std::make_move_iterator(again.begin()),
               std::make_move_iterator(again.end()));
  return removals;
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
      if (remove_unused(layout, place, file.id, Strangers::kOpen, dry_run))
        count(removals, file.id, place, counted_bytes(place, file.st));
    }
  }
  clean_maps(layout, now, dry_run);
  return removals;
}

}  // namespace imgcachefs
