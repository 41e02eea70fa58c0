#include "cache/image_file.h"

#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "base/units.h"
#include "cache/glance_attributes.h"

namespace imgcachefs {
namespace {

// A file that nobody of ours made and that was written to within this time is being written to.
constexpr std::chrono::seconds kStrangerGrace{60};

// Whether anybody else has the file open, by the only question the kernel answers about it: a write
// lease is given to who is alone. nullopt: it does not answer (not our file, a file system
// without).
std::optional<bool> open_elsewhere(int fd) {
  // Who opens it in this moment waits until the lease is gone, and we are told by a signal: one
  // that does nothing.
  if (::fcntl(fd, F_SETSIG, SIGURG) < 0) return std::nullopt;
  if (::fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
    return errno == EAGAIN ? std::optional(true) : std::nullopt;
  ::fcntl(fd, F_SETLEASE, F_UNLCK);
  return false;
}

}  // namespace

Result<std::shared_ptr<ImageFile>> ImageFile::open_incomplete(const CacheLayout& layout,
                                                              const ImageId& id) {
  return open(layout, id, O_CREAT);
}

Result<std::shared_ptr<ImageFile>> ImageFile::replace_incomplete(const CacheLayout& layout,
                                                                 const ImageId& id,
                                                                 uint64_t& freed) {
  const int dir = layout.dir(Place::kIncomplete);
  freed = 0;
  std::lock_guard names(layout.names_mutex());
  if (auto map = posix::unlink_at(layout.dir(Place::kMaps), id.str());
      !map && map.error().kind != ErrorKind::kNotFound)
    return fail(map.error());
  if (auto before = posix::stat_at(dir, id.str())) {
    if (auto gone = posix::unlink_at(dir, id.str());
        !gone && gone.error().kind != ErrorKind::kNotFound)
      return fail(gone.error());
    freed = static_cast<uint64_t>(before->st_blocks) * 512;
  }
  return open(layout, id, O_CREAT | O_EXCL);
}

Result<std::shared_ptr<ImageFile>> ImageFile::open(const CacheLayout& layout, const ImageId& id,
                                                   int flags) {
  const int dir = layout.dir(Place::kIncomplete);
  // A cleaner may hold the file, or unlink it between our open and our lock: then again.
  for (int attempt = 0; attempt < 100; ++attempt) {
    auto fd = posix::open_unnoticed_at(dir, id.str(), O_RDWR | O_NOFOLLOW | flags, 0600);
    if (!fd) return fail(fd.error().in("incomplete"));
    auto locked = posix::try_lock(fd->get(), posix::LockMode::kShared);
    if (!locked && locked.error().kind != ErrorKind::kBusy) return fail(locked.error());
    if (locked) {
      std::shared_ptr<ImageFile> file(new ImageFile(layout, id, std::move(*fd)));
      if (file->still_ours()) return file;
      continue;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return fail(ErrorKind::kBusy, fmt::format("incomplete/{}: held by a cleaner", id.str()));
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
  const auto elsewhere = open_elsewhere(fd->get());
  const bool has_map = posix::stat_at(layout.dir(Place::kMaps), id.str()).has_value();
  const bool fresh = std::chrono::system_clock::now() - wall_time(there->st_mtim) <= kStrangerGrace;
  const bool left_over = elsewhere ? !*elsewhere && (has_map || !fresh) : !fresh;
  if (left_over) return {};
  return fail(ErrorKind::kStale,
              fmt::format("incomplete/{}: another program is filling it", id.str()));
}

Status ImageFile::prepare(uint64_t image_size) {
  image_size_ = image_size;
  return posix::truncate(fd(), image_size + kIncompleteTail);
}

bool ImageFile::intact() const {
  if (!image_size_ || out_of_reach_) return true;
  auto st = posix::stat_fd(fd());
  return st && static_cast<uint64_t>(st->st_size) == *image_size_ + kIncompleteTail;
}

uint64_t ImageFile::bytes_on_disk() const {
  auto st = posix::stat_fd(fd());
  return st ? static_cast<uint64_t>(st->st_blocks) * 512 : 0;
}

Status ImageFile::still_ours(Place place) const {
  auto mine = posix::stat_fd(fd());
  if (!mine) return fail(mine.error());
  auto there = posix::stat_at(layout_.dir(place), id_.str());
  if (!there || there->st_ino != mine->st_ino || there->st_dev != mine->st_dev)
    return fail(ErrorKind::kStale,
                fmt::format("incomplete/{}: removed or replaced by somebody", id_.str()));
  return {};
}

Status ImageFile::still_whole() const {
  if (intact()) return {};
  return fail(ErrorKind::kStale,
              fmt::format("incomplete/{}: another program has begun to fill it", id_.str()));
}

// A map that stays is a map of nothing: what it speaks of is not where it says.
void ImageFile::remove_map() {
  auto removed = posix::unlink_at(layout_.dir(Place::kMaps), id_.str());
  if (!removed && removed.error().kind != ErrorKind::kNotFound)
    spdlog::warn("maps/{}: {}", id_.str(), removed.error().message);
}

// To maps/, and to invalid/ where something in maps/ is in the way.
Result<Place> ImageFile::take_out_of_reach() {
  std::lock_guard names(layout_.names_mutex());
  if (auto ours = still_ours(); !ours) return fail(ours.error());
  const int from = layout_.dir(Place::kIncomplete);
  if (posix::rename_at(from, id_.str(), layout_.dir(Place::kMaps), id_.str())) return Place::kMaps;
  if (auto ok = posix::rename_at(from, id_.str(), layout_.dir(Place::kInvalid), id_.str()); !ok)
    return fail(ok.error());
  remove_map();
  return Place::kInvalid;
}

Status ImageFile::finish_commit(Place place) {
  if (image_size_)
    if (auto ok = posix::truncate(fd(), *image_size_); !ok) return ok;
  // The time of caching is the file's mtime.
  const struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  if (auto ok = posix::set_times(fd(), now); !ok) return ok;
  if (auto ok = posix::sync_all(fd()); !ok) return ok;
  std::lock_guard names(layout_.names_mutex());
  if (auto ours = still_ours(place); !ours) return ours;
  return posix::rename_at(layout_.dir(place), id_.str(), layout_.dir(Place::kCached), id_.str());
}

// After a commit that did not come to its end: back to its name, where the other program, if there
// is one, expects what it writes to; unless that name is taken again.
void ImageFile::give_back(Place place) {
  std::lock_guard names(layout_.names_mutex());
  if (!still_ours(place)) return;
  const int incomplete = layout_.dir(Place::kIncomplete), from = layout_.dir(place);
  const bool taken = posix::stat_at(incomplete, id_.str()).has_value();
  if (!taken && posix::rename_at(from, id_.str(), incomplete, id_.str())) return;
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
    if (image_size_) (void)posix::truncate(fd(), *image_size_ + kIncompleteTail);
    out_of_reach_ = false;
    give_back(*place);
    return ok;
  }
  for (Place changed : {Place::kCached, Place::kIncomplete, *place})
    if (auto ok = posix::sync_all(layout_.dir(changed)); !ok) return ok;
  return {};
}

Status ImageFile::quarantine(const std::string& reason) {
  if (auto whole = still_whole(); !whole) return whole;
  if (image_size_)
    if (auto ok = posix::truncate(fd(), *image_size_); !ok) return ok;
  (void)write_error(fd(), reason);
  return move_to(Place::kInvalid);
}

Status ImageFile::move_to(Place place) {
  std::lock_guard names(layout_.names_mutex());
  if (auto ours = still_ours(); !ours) return ours;
  if (auto ok = posix::rename_at(layout_.dir(Place::kIncomplete), id_.str(), layout_.dir(place),
                                 id_.str());
      !ok)
    return ok;
  remove_map();
  return {};
}

Status ImageFile::discard() {
  std::lock_guard names(layout_.names_mutex());
  if (auto ours = still_ours(); !ours) return ours;
  // The map first: a map without its file is nothing, a file without its map is fetched anew.
  remove_map();
  if (auto whole = still_whole(); !whole) return whole;
  return posix::unlink_at(layout_.dir(Place::kIncomplete), id_.str());
}

}  // namespace imgcachefs
