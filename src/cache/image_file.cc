#include "cache/image_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "cache/glance_attributes.h"

namespace imgcachefs {
namespace {

constexpr size_t kCopyPiece = 1 << 20;  // copied at a time

bool is_named(const CacheLayout& layout, Place place, const ImageId& id, int fd) {
  auto mine = posix::stat_fd(fd);
  auto there = posix::stat_at(layout.dir(place), id.str());
  return mine && there && posix::same_file(*mine, *there);
}

tl::unexpected<Error> filled_by_others(const ImageId& id) {
  return fail(ErrorKind::kStale,
              fmt::format("incomplete/{}: another program is filling it", id.str()));
}

// A map that stays is a map of nothing: what it speaks of is not where it says.
void remove_map(const CacheLayout& layout, const ImageId& id) {
  if (auto gone = posix::unlink_if_there_at(layout.dir(Place::kMaps), id.str()); !gone)
    spdlog::warn("maps/{}: {}", id.str(), gone.error().message);
}

// Mark and tail. The mark first: without the tail it says nothing.
Status prepare(int fd, uint64_t image_size) {
  if (auto ok = mark_unfinished(fd, image_size); !ok) return ok;
  return posix::truncate(fd, image_size + kIncompleteTail);
}

// A new incomplete/<id>, which from its first moment on has all by which it is known. kStale: there
// is one. With names_mutex held, and no map there.
Result<UniqueFd> create(const CacheLayout& layout, const ImageId& id, uint64_t image_size) {
  const int maps = layout.dir(Place::kMaps);
  auto fd = posix::open_unnoticed_at(maps, id.str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
  if (!fd) return fail(fd.error().in("maps"));
  auto done = posix::try_lock(fd->get(), posix::LockMode::kShared);
  if (done) done = prepare(fd->get(), image_size);
  if (done) done = posix::rename_new_at(maps, id.str(), layout.dir(Place::kIncomplete), id.str());
  if (done) return fd;
  remove_map(layout, id);
  if (done.error().sys_errno == EEXIST) return filled_by_others(id);
  return fail(done.error());
}

Status copy(int from, int to, uint64_t size) {
  std::vector<std::byte> piece(std::min<uint64_t>(size, kCopyPiece));
  for (uint64_t at = 0; at < size;) {
    const std::span bytes(piece.data(), std::min<uint64_t>(size - at, piece.size()));
    auto n = posix::read_at(from, bytes, at);
    if (!n) return fail(n.error());
    if (*n != bytes.size()) return fail(ErrorKind::kIo, "too short");
    if (auto ok = posix::write_at(to, bytes, at); !ok) return ok;
    at += bytes.size();
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<ImageFile>> ImageFile::take_up(const CacheLayout& layout, const ImageId& id,
                                                      uint64_t image_size) {
  const int dir = layout.dir(Place::kIncomplete);
  // A cleaner may hold the file, or unlink it between our open and our lock: then again.
  for (int attempt = 0; attempt < 100; ++attempt) {
    auto fd = posix::open_unnoticed_at(dir, id.str(), O_RDWR | O_NOFOLLOW);
    if (!fd) return fail(fd.error().in("incomplete"));
    auto locked = posix::try_lock(fd->get(), posix::LockMode::kShared);
    if (!locked && locked.error().kind != ErrorKind::kBusy) return fail(locked.error());
    if (locked) {
      if (!is_named(layout, Place::kIncomplete, id, fd->get())) continue;
      if (auto ok = prepare(fd->get(), image_size); !ok) return fail(ok.error());
      return std::shared_ptr<ImageFile>(new ImageFile(layout, id, std::move(*fd), image_size));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return fail(ErrorKind::kBusy, fmt::format("incomplete/{}: held by a cleaner", id.str()));
}

Result<std::shared_ptr<ImageFile>> ImageFile::begin(const CacheLayout& layout, const ImageId& id,
                                                    uint64_t image_size, uint64_t& freed) {
  const int dir = layout.dir(Place::kIncomplete);
  freed = 0;
  std::lock_guard names(layout.names_mutex());
  if (auto gone = posix::unlink_if_there_at(layout.dir(Place::kMaps), id.str()); !gone)
    return fail(gone.error());
  if (auto before = posix::stat_at(dir, id.str())) {
    // Once more, as close to it as can be.
    if (auto free = check_free(layout, id, image_size); !free) return fail(free.error());
    if (auto gone = posix::unlink_if_there_at(dir, id.str()); !gone) return fail(gone.error());
    freed = static_cast<uint64_t>(before->st_blocks) * 512;
  }
  auto fd = create(layout, id, image_size);
  if (!fd) return fail(fd.error());
  return std::shared_ptr<ImageFile>(new ImageFile(layout, id, std::move(*fd), image_size));
}

Status ImageFile::check_free(const CacheLayout& layout, const ImageId& id, uint64_t image_size) {
  const int dir = layout.dir(Place::kIncomplete);
  auto fd = posix::open_unnoticed_at(dir, id.str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return {};  // nothing there, or nothing that anybody fills
  auto there = posix::stat_fd(fd->get());
  if (!there || !S_ISREG(there->st_mode)) return {};
  // Our own: untouched by others, or held by a fill of another version that is being given up.
  if (static_cast<uint64_t>(there->st_size) == image_size + kIncompleteTail) return {};
  auto held = posix::try_lock(fd->get(), posix::LockMode::kExclusive);
  if (!held && held.error().kind == ErrorKind::kBusy) return {};
  const bool has_map = posix::stat_at(layout.dir(Place::kMaps), id.str()).has_value();
  if (!is_filled_by_others(fd->get(), *there, has_map)) return {};
  return filled_by_others(id);
}

bool ImageFile::intact() const {
  if (out_of_reach_) return true;
  auto st = posix::stat_fd(fd());
  return st && static_cast<uint64_t>(st->st_size) == image_size_ + kIncompleteTail;
}

bool ImageFile::is(const struct stat& st) const {
  if (out_of_reach_ || given_up_) return false;
  auto mine = posix::stat_fd(fd());
  // With its tail: without, another program has truncated it and it is that program's.
  return mine && posix::same_file(*mine, st) && intact();
}

void ImageFile::reclaim() {
  if (out_of_reach_ || given_up_ || lies_in(Place::kIncomplete)) return;
  std::lock_guard names(layout_.names_mutex());
  // Asked again: what is committed or quarantined is where it belongs; and what another program has
  // truncated, where that program put it.
  if (out_of_reach_ || given_up_ || !intact()) return;
  for (Place place : {Place::kCached, Place::kInvalid}) {
    if (!lies_in(place)) continue;
    const int dir = layout_.dir(place);
    auto back = posix::rename_new_at(dir, id_.str(), layout_.dir(Place::kIncomplete), id_.str());
    if (!back && place == Place::kCached) back = posix::unlink_at(dir, id_.str());
    spdlog::warn("{}: another program moved our unfinished file; {}", id_.str(),
                 back ? "taken back" : back.error().message);
  }
}

uint64_t ImageFile::bytes_on_disk() const {
  auto st = posix::stat_fd(fd());
  return st ? static_cast<uint64_t>(st->st_blocks) * 512 : 0;
}

bool ImageFile::lies_in(Place place) const {
  return is_named(layout_, place, id_, fd());
}

Status ImageFile::still_ours() const {
  if (lies_in(Place::kIncomplete)) return {};
  const bool replaced = posix::stat_at(layout_.dir(Place::kIncomplete), id_.str()).has_value();
  return fail(replaced || given_up_ ? ErrorKind::kStale : ErrorKind::kNotFound,
              fmt::format("incomplete/{}: removed or replaced by somebody", id_.str()));
}

Status ImageFile::still_whole() const {
  if (intact()) return {};
  return fail(ErrorKind::kStale,
              fmt::format("incomplete/{}: another program has begun to fill it", id_.str()));
}

// To maps/, and to invalid/ where something in maps/ is in the way.
Result<Place> ImageFile::take_out_of_reach() {
  std::lock_guard names(layout_.names_mutex());
  // Somebody's rename may have taken it elsewhere.
  Place from = Place::kIncomplete;
  for (Place place : {Place::kCached, Place::kInvalid})
    if (lies_in(place)) from = place;
  if (from == Place::kIncomplete)
    if (auto ours = still_ours(); !ours) return fail(ours.error());
  const int dir = layout_.dir(from), invalid = layout_.dir(Place::kInvalid);
  if (posix::rename_at(dir, id_.str(), layout_.dir(Place::kMaps), id_.str())) return Place::kMaps;
  if (auto ok = posix::rename_at(dir, id_.str(), invalid, id_.str()); !ok) return fail(ok.error());
  remove_map(layout_, id_);
  return Place::kInvalid;
}

Status ImageFile::finish_commit(Place place) {
  if (auto ok = posix::truncate(fd(), image_size_); !ok) return ok;
  if (auto ok = mark_finished(fd()); !ok) return ok;
  // The time of caching is the file's mtime.
  const struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  if (auto ok = posix::set_times(fd(), now); !ok) return ok;
  if (auto ok = posix::sync_all(fd()); !ok) return ok;
  std::lock_guard names(layout_.names_mutex());
  if (!lies_in(place))
    return fail(ErrorKind::kStale, fmt::format("{}: removed while it was committed", id_.str()));
  return posix::rename_at(layout_.dir(place), id_.str(), layout_.dir(Place::kCached), id_.str());
}

// After a commit that did not come to its end: back to its name, where the other program, if there
// is one, expects what it writes to; unless that name is taken again.
void ImageFile::give_back(Place place) {
  std::lock_guard names(layout_.names_mutex());
  if (!lies_in(place)) return;
  const int from = layout_.dir(place);
  if (posix::rename_new_at(from, id_.str(), layout_.dir(Place::kIncomplete), id_.str())) return;
  if (auto gone = posix::unlink_at(from, id_.str()); !gone)
    spdlog::warn("{}: {}", id_.str(), gone.error().message);
}

Status ImageFile::commit() {
  // All of it that takes time, while a crash costs nothing yet. sync_all: for the attributes too.
  if (auto ok = posix::sync_all(fd()); !ok) return ok;
  const struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  if (auto ok = posix::set_times(fd(), now); !ok) return ok;  // a cleaner takes old maps away
  if (auto whole = still_whole(); !whole) return whole;
  auto place = take_out_of_reach();
  if (!place) return fail(place.error());
  // Nobody can truncate it any more: what the look finds now holds.
  if (auto whole = still_whole(); !whole) {
    give_back(*place);
    return whole;
  }
  out_of_reach_ = true;
  if (auto ok = finish_commit(*place); !ok) {
    (void)prepare(fd(), image_size_);
    out_of_reach_ = false;
    give_back(*place);
    return ok;
  }
  for (Place changed : {Place::kCached, Place::kIncomplete, *place})
    if (auto ok = posix::sync_all(layout_.dir(changed)); !ok) return ok;
  return {};
}

Status ImageFile::begin_again() {
  if (given_up_) return still_ours();
  UniqueFd next;
  {
    std::lock_guard names(layout_.names_mutex());
    remove_map(layout_, id_);
    auto created = create(layout_, id_, image_size_);
    if (!created) return fail(created.error());
    next = std::move(*created);
  }
  if (auto ok = copy(fd(), next.get(), image_size_); !ok) {
    std::lock_guard names(layout_.names_mutex());
    if (is_named(layout_, Place::kIncomplete, id_, next.get()))
      (void)posix::unlink_at(layout_.dir(Place::kIncomplete), id_.str());
    return ok;
  }
  // In one step: who reads through fd() meanwhile reads the same bytes from the one or the other.
  return posix::replace_fd(next.get(), fd());
}

Status ImageFile::quarantine(const std::string& reason) {
  reclaim();
  if (auto whole = still_whole(); !whole) return whole;
  if (auto ok = posix::truncate(fd(), image_size_); !ok) return ok;
  if (auto ok = mark_finished(fd()); !ok) return ok;
  (void)write_error(fd(), reason);
  return move_to(Place::kInvalid);
}

Status ImageFile::move_to(Place place) {
  std::lock_guard names(layout_.names_mutex());
  if (auto ours = still_ours(); !ours) return ours;
  given_up_ = true;
  if (auto ok = posix::rename_at(layout_.dir(Place::kIncomplete), id_.str(), layout_.dir(place),
                                 id_.str());
      !ok)
    return ok;
  remove_map(layout_, id_);
  return {};
}

Status ImageFile::discard() {
  reclaim();
  std::lock_guard names(layout_.names_mutex());
  auto ours = still_ours();
  given_up_ = true;
  if (!ours) return ours;
  // The map first: a map without its file is nothing, a file without its map is fetched anew.
  remove_map(layout_, id_);
  if (auto whole = still_whole(); !whole) return whole;
  return posix::unlink_at(layout_.dir(Place::kIncomplete), id_.str());
}

}  // namespace imgcachefs
