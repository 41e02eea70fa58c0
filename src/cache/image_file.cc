#include "cache/image_file.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "base/log.h"
#include "cache/glance_attributes.h"

namespace imgcachefs {

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

uint64_t ImageFile::bytes_on_disk() const {
  auto st = posix::stat_fd(fd());
  return st ? static_cast<uint64_t>(st->st_blocks) * 512 : 0;
}

Status ImageFile::still_ours() const {
  auto mine = posix::stat_fd(fd());
  if (!mine) return fail(mine.error());
  auto there = posix::stat_at(layout_.dir(Place::kIncomplete), id_.str());
  if (!there || there->st_ino != mine->st_ino || there->st_dev != mine->st_dev)
    return fail(ErrorKind::kStale,
                fmt::format("incomplete/{}: removed or replaced by somebody", id_.str()));
  return {};
}

// A map that stays is a map of nothing: what it speaks of is not where it says.
void ImageFile::remove_map() {
  auto removed = posix::unlink_at(layout_.dir(Place::kMaps), id_.str());
  if (!removed && removed.error().kind != ErrorKind::kNotFound)
    spdlog::warn("maps/{}: {}", id_.str(), removed.error().message);
}

Status ImageFile::commit() {
  const int incomplete = layout_.dir(Place::kIncomplete), cached = layout_.dir(Place::kCached);
  // The time of caching is the file's mtime; sync_all, because that is metadata.
  const struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  if (auto ok = posix::set_times(fd(), now); !ok) return ok;
  if (auto ok = posix::sync_all(fd()); !ok) return ok;
  if (auto ok = move_to(Place::kCached); !ok) return ok;
  if (auto ok = posix::sync_all(cached); !ok) return ok;
  return posix::sync_all(incomplete);
}

Status ImageFile::quarantine(const std::string& reason) {
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
  return posix::unlink_at(layout_.dir(Place::kIncomplete), id_.str());
}

}  // namespace imgcachefs
