#include "cache/cache_layout.h"

#include <dirent.h>
#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/log.h"

namespace imgcachefs {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPoll{50};
constexpr std::chrono::seconds kServingPatience{1};    // another daemon serves: it will not leave
constexpr std::chrono::seconds kShutdownPatience{30};  // it has stopped serving: it is about to
constexpr mode_t kPrivate = 0700;

constexpr const char* kIncompleteDir = "incomplete";
constexpr const char* kInvalidDir = "invalid";
constexpr const char* kQueueDir = "queue";
constexpr const char* kMapsDir = "maps";
constexpr const char* kIndexFile = "cache.db";

std::string absolute_path(const std::string& path) {
  std::error_code error;
  std::string text = std::filesystem::absolute(path, error).string();
  if (error) text = path;
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

// mkdir -p: every missing component, each readable by its owner only.
Status make_dirs(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string prefix = path.substr(0, slash);
    // Looked at first: a parent that exists may be one that we could not have made (EROFS, EACCES).
    struct stat st;
    if (::stat(prefix.c_str(), &st) != 0)
      if (auto made = posix::make_dir_at(AT_FDCWD, prefix, kPrivate); !made) return made;
    if (slash == std::string::npos) return {};
  }
}

Result<UniqueFd> open_dir(int parent, const std::string& name, int flags, const std::string& path) {
  auto fd = posix::open_at(parent, name, O_RDONLY | O_DIRECTORY | flags);
  if (fd) return fd;
  const int error = fd.error().sys_errno;
  if (error == ENOTDIR || error == ELOOP)
    return fail(ErrorKind::kInvalid, fmt::format("{}: not a directory", path));
  return fail_errno(path, error);
}

Result<UniqueFd> open_cache_dir(const std::string& path, CacheLayout::Access access) {
  if (access == CacheLayout::Access::kDaemon)
    if (auto made = make_dirs(path); !made) return fail(made.error());
  auto fd = open_dir(AT_FDCWD, path, 0, path);
  if (!fd || access == CacheLayout::Access::kTool) return fd;
  auto st = posix::stat_fd(fd->get());
  if (!st) return fail(st.error().in(path));
  if ((st->st_mode & 077) != 0)
    spdlog::warn(
        "cache directory {} is open to others (mode {:04o}): images in it can be read "
        "past the permissions of the mount",
        path, st->st_mode & 07777);
  return fd;
}

// A symlink in the place of a subdirectory would have us write and delete elsewhere: refused.
Result<UniqueFd> open_sub_dir(int cache_dir, const char* name, const std::string& path,
                              CacheLayout::Access access) {
  if (access == CacheLayout::Access::kDaemon)
    if (auto made = posix::make_dir_at(cache_dir, name, kPrivate); !made)
      return fail(made.error().in(path));
  auto fd = open_dir(cache_dir, name, O_NOFOLLOW, fmt::format("{}/{}", path, name));
  if (!fd && fd.error().kind == ErrorKind::kNotFound && access == CacheLayout::Access::kTool)
    return UniqueFd();
  return fd;
}

// Whether somebody serves from the directory now. A shared lock asks, so that two who ask do not
// take each other for a daemon.
Result<bool> is_served(int maps) {
  auto probe = posix::open_at(maps, ".", O_RDONLY | O_DIRECTORY);
  if (!probe) return fail(probe.error());
  auto locked = posix::try_lock(probe->get(), posix::LockMode::kShared);
  if (locked) return false;
  if (locked.error().kind == ErrorKind::kBusy) return true;
  return fail(locked.error());
}

Status take_life_lock(int life, int maps, const std::string& path) {
  const auto start = Clock::now();
  auto not_served = start;  // the last time nobody served
  while (true) {
    auto locked = posix::try_lock(life, posix::LockMode::kExclusive);
    if (locked || locked.error().kind != ErrorKind::kBusy) return locked;
    auto served = is_served(maps);
    if (!served) return fail(served.error());
    const auto now = Clock::now();
    if (!*served) not_served = now;
    if (now - not_served >= kServingPatience)
      return fail(ErrorKind::kBusy,
                  fmt::format("{}: another imgcachefs has this cache directory", path));
    if (now - start >= kShutdownPatience)
      return fail(
          ErrorKind::kBusy,
          fmt::format("{}: another imgcachefs has this cache directory and does not end", path));
    std::this_thread::sleep_for(kPoll);
  }
}

Status take_serving_lock(int maps, const std::string& path) {
  const auto deadline = Clock::now() + kServingPatience;
  while (true) {
    auto locked = posix::try_lock(maps, posix::LockMode::kExclusive);
    if (locked || locked.error().kind != ErrorKind::kBusy) return locked;
    // Somebody asks (is_served) at this moment; a daemon cannot be: we have the life lock.
    if (Clock::now() >= deadline) return fail(locked.error().in(path + "/" + kMapsDir));
    std::this_thread::sleep_for(kPoll);
  }
}

bool may_be_file(const posix::DirEntry& entry) {
  return entry.type == DT_REG || entry.type == DT_UNKNOWN;
}

bool is_regular(const posix::DirEntry& entry, int dir) {
  if (entry.type != DT_UNKNOWN) return entry.type == DT_REG;
  auto st = posix::stat_at(dir, entry.name);
  return st && S_ISREG(st->st_mode);
}

}  // namespace

Result<CacheLayout> CacheLayout::open(const std::string& cache_dir, Access access) {
  if (cache_dir.empty()) return fail(ErrorKind::kInvalid, "the cache directory has no name");
  CacheLayout layout;
  layout.path_ = absolute_path(cache_dir);
  const std::string& path = layout.path_;
  auto cached = open_cache_dir(path, access);
  if (!cached) return fail(cached.error());
  layout.cached_ = std::move(*cached);

  const int top = layout.cached_.get();
  struct SubDir {
    const char* name;
    UniqueFd& fd;
  };
  for (SubDir sub :
       {SubDir{kIncompleteDir, layout.incomplete_}, SubDir{kInvalidDir, layout.invalid_},
        SubDir{kQueueDir, layout.queue_}, SubDir{kMapsDir, layout.maps_}}) {
    auto fd = open_sub_dir(top, sub.name, path, access);
    if (!fd) return fail(fd.error());
    sub.fd = std::move(*fd);
  }
  if (access == Access::kTool) return layout;

  auto life = posix::open_at(top, ".", O_RDONLY | O_DIRECTORY);
  if (!life) return fail(life.error().in(path));
  auto serving = posix::open_at(layout.maps_.get(), ".", O_RDONLY | O_DIRECTORY);
  if (!serving) return fail(serving.error().in(path));
  if (auto locked = take_life_lock(life->get(), layout.maps_.get(), path); !locked)
    return fail(locked.error());
  if (auto locked = take_serving_lock(serving->get(), path); !locked) return fail(locked.error());
  if (auto unnoticed = posix::unnoticed_dir(top)) layout.reading_ = std::move(*unnoticed);
  layout.life_lock_ = std::move(*life);
  layout.serving_lock_ = std::move(*serving);
  return layout;
}

int CacheLayout::dir(Place place) const {
  switch (place) {
    case Place::kCached:
      return cached_.get();
    case Place::kIncomplete:
      return incomplete_.get();
    case Place::kInvalid:
      return invalid_.get();
    case Place::kQueue:
      return queue_.get();
    case Place::kMaps:
      return maps_.get();
  }
  return -1;
}

Result<UniqueFd> CacheLayout::make_dir(Place place) const {
  const char* name = place == Place::kIncomplete ? kIncompleteDir
                     : place == Place::kInvalid  ? kInvalidDir
                     : place == Place::kQueue    ? kQueueDir
                                                 : kMapsDir;
  return open_sub_dir(cached_.get(), name, path_, Access::kDaemon);
}

std::string CacheLayout::index_path() const {
  return path_ + "/" + kIndexFile;
}

Status CacheLayout::each_entry(
    Place place, const std::function<Status(const posix::DirEntry&, ImageId)>& see) const {
  if (dir(place) < 0) return {};
  Status seen;  // apart from what the directory itself says
  auto listed = posix::each_entry(dir(place), [&](const posix::DirEntry& entry) -> Status {
    if (!may_be_file(entry)) return {};
    auto id = ImageId::parse(entry.name);
    if (id) seen = see(entry, std::move(*id));
    return seen;
  });
  if (!seen) return seen;
  if (!listed) return fail(listed.error().in(path_));
  return {};
}

Status CacheLayout::each(Place place, const std::function<Status(StoredFile)>& see) const {
  return each_entry(place, [&](const posix::DirEntry& entry, ImageId id) -> Status {
    auto st = posix::stat_at(dir(place), entry.name);
    if (!st && st.error().kind == ErrorKind::kNotFound) return {};  // gone meanwhile
    if (!st) return fail(st.error().in(path_));
    if (!S_ISREG(st->st_mode)) return {};
    return see({std::move(id), *st});
  });
}

Result<std::vector<StoredFile>> CacheLayout::list(Place place) const {
  std::vector<StoredFile> files;
  auto listed = each(place, [&](StoredFile file) -> Status {
    files.push_back(std::move(file));
    return {};
  });
  if (!listed) return fail(listed.error());
  return files;
}

Status CacheLayout::each_name(Place place, const std::function<void(const ImageId&)>& see) const {
  return each_entry(place, [&](const posix::DirEntry& entry, const ImageId& id) -> Status {
    if (is_regular(entry, dir(place))) see(id);
    return {};
  });
}

Result<std::vector<ImageId>> CacheLayout::names(Place place) const {
  std::vector<ImageId> ids;
  auto listed = each_name(place, [&](const ImageId& id) { ids.push_back(id); });
  if (!listed) return fail(listed.error());
  return ids;
}

Result<size_t> CacheLayout::count(Place place) const {
  size_t count = 0;
  auto listed = each_name(place, [&](const ImageId&) { ++count; });
  if (!listed) return fail(listed.error());
  return count;
}

void CacheLayout::stop_serving() {
  serving_lock_.reset();
}

}  // namespace imgcachefs
