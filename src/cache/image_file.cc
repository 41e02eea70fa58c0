#include "cache/image_file.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "base/log.h"

namespace imgcachefs {

Result<std::shared_ptr<ImageFile>> ImageFile::open_incomplete(const CacheLayout& layout,
                                                              const ImageId& id) {
  const int dir = layout.dir(Place::kIncomplete);
  // A cleaner may hold the file, or unlink it between our open and our lock: then again.
  for (int attempt = 0; attempt < 100; ++attempt) {
    auto fd = posix::open_at(dir, id.str(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
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
  if (auto ours = still_ours(); !ours) return ours;
  // The time of caching is the file's mtime; sync_all, because that is metadata.
  const struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
  if (auto ok = posix::set_times(fd(), now); !ok) return ok;
  if (auto ok = posix::sync_all(fd()); !ok) return ok;
  if (auto ok = posix::rename_at(incomplete, id_.str(), cached, id_.str()); !ok) return ok;
  if (auto ok = posix::sync_all(cached); !ok) return ok;
  if (auto ok = posix::sync_all(incomplete); !ok) return ok;
  remove_map();
  return {};
}

Status ImageFile::quarantine() {
  if (auto ours = still_ours(); !ours) return ours;
  if (auto ok = posix::rename_at(layout_.dir(Place::kIncomplete), id_.str(),
                                 layout_.dir(Place::kInvalid), id_.str());
      !ok)
    return ok;
  remove_map();
  return {};
}

Status ImageFile::discard() {
  if (auto ours = still_ours(); !ours) return ours;
  // The map first: a map without its file is nothing, a file without its map is fetched anew.
  remove_map();
  return posix::unlink_at(layout_.dir(Place::kIncomplete), id_.str());
}

Status discard_cached(const CacheLayout& layout, const ImageId& id) {
  auto removed = posix::unlink_at(layout.dir(Place::kCached), id.str());
  if (!removed && removed.error().kind != ErrorKind::kNotFound) return removed;
  return {};
}

}  // namespace imgcachefs
