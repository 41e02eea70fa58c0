#include "base/posix.h"

#include <dirent.h>
#include <fmt/format.h>
#include <linux/limits.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

namespace imgcachefs {

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

namespace posix {
namespace {

template <typename Call>
auto retry_eintr(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

template <typename Call>
Status checked(std::string_view what, Call call) {
  if (retry_eintr(call) < 0) return fail_errno(what, errno);
  return {};
}

}  // namespace

Result<UniqueFd> open_at(int dir, const std::string& name, int flags, mode_t mode) {
  int fd = retry_eintr([&] { return ::openat(dir, name.c_str(), flags | O_CLOEXEC, mode); });
  if (fd < 0) return fail_errno(name, errno);
  return UniqueFd(fd);
}

Result<UniqueFd> open_unnoticed_at(int dir, const std::string& name, int flags, mode_t mode) {
  auto fd = open_at(dir, name, flags | O_NOATIME, mode);
  if (fd || fd.error().sys_errno != EPERM) return fd;
  return open_at(dir, name, flags, mode);
}

Result<UniqueFd> unnoticed_dir(int dir) {
  UniqueFd mount(::open_tree(dir, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!mount) return fail_errno("open_tree", errno);
  struct mount_attr attributes {};
  attributes.attr_set = MOUNT_ATTR_NOATIME;
  attributes.attr_clr = MOUNT_ATTR__ATIME;  // the kernel wants it said that the old one goes
  if (::mount_setattr(mount.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0)
    return fail_errno("mount_setattr", errno);
  return mount;
}

Result<struct stat> stat_at(int dir, const std::string& name) {
  struct stat st;
  if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) return fail_errno(name, errno);
  return st;
}

Result<struct stat> stat_fd(int fd) {
  struct stat st;
  if (::fstat(fd, &st) < 0) return fail_errno("fstat", errno);
  return st;
}

Result<struct statvfs> statvfs_fd(int fd) {
  struct statvfs st;
  if (retry_eintr([&] { return ::fstatvfs(fd, &st); }) < 0) return fail_errno("fstatvfs", errno);
  return st;
}

Status unlink_at(int dir, const std::string& name) {
  return checked(name, [&] { return ::unlinkat(dir, name.c_str(), 0); });
}

Status unlink_if_there_at(int dir, const std::string& name) {
  auto gone = unlink_at(dir, name);
  if (!gone && gone.error().kind != ErrorKind::kNotFound) return gone;
  return {};
}

Status rename_at(int from_dir, const std::string& from, int to_dir, const std::string& to) {
  return checked(from, [&] { return ::renameat(from_dir, from.c_str(), to_dir, to.c_str()); });
}

Status rename_new_at(int from_dir, const std::string& from, int to_dir, const std::string& to) {
  const char *old_name = from.c_str(), *new_name = to.c_str();
  auto renamed = checked(
      from, [&] { return ::renameat2(from_dir, old_name, to_dir, new_name, RENAME_NOREPLACE); });
  if (renamed || (renamed.error().sys_errno != EINVAL && renamed.error().sys_errno != ENOSYS))
    return renamed;
  // A file system that cannot do it at once.
  auto linked = checked(from, [&] { return ::linkat(from_dir, old_name, to_dir, new_name, 0); });
  return linked ? unlink_at(from_dir, from) : linked;
}

Status make_dir_at(int dir, const std::string& name, mode_t mode) {
  if (::mkdirat(dir, name.c_str(), mode) < 0 && errno != EEXIST) return fail_errno(name, errno);
  return {};
}

Status write_at(int fd, std::span<const std::byte> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    ssize_t n = retry_eintr(
        [&] { return ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (n < 0) return fail_errno("write", errno);
    if (n == 0) return fail_errno("write", ENOSPC);
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Result<size_t> read_at(int fd, std::span<std::byte> into, uint64_t offset) {
  size_t done = 0;
  while (done < into.size()) {
    ssize_t n = retry_eintr([&] {
      return ::pread(fd, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
    });
    if (n < 0) return fail_errno("read", errno);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

Result<std::string> read_file_at(int dir, const std::string& name, size_t limit) {
  auto fd = open_at(dir, name, O_RDONLY);
  if (!fd) return fail(fd.error());
  auto st = stat_fd(fd->get());
  if (!st) return fail(st.error().in(name));
  if (static_cast<uint64_t>(st->st_size) > limit)
    return fail(ErrorKind::kInvalid, fmt::format("{}: larger than {} bytes", name, limit));
  std::string text(static_cast<size_t>(st->st_size), '\0');
  auto n = read_at(fd->get(), std::as_writable_bytes(std::span(text)), 0);
  if (!n) return fail(n.error().in(name));
  text.resize(*n);
  return text;
}

Status truncate(int fd, uint64_t size) {
  return checked("ftruncate", [&] { return ::ftruncate(fd, static_cast<off_t>(size)); });
}

Status sync_data(int fd) {
  return checked("fdatasync", [&] { return ::fdatasync(fd); });
}

void start_write_back(int fd, uint64_t offset, uint64_t length) {
  ::sync_file_range(fd, static_cast<off64_t>(offset), static_cast<off64_t>(length),
                    SYNC_FILE_RANGE_WRITE);
}

Status sync_all(int fd) {
  return checked("fsync", [&] { return ::fsync(fd); });
}

Status punch_hole(int fd, uint64_t offset, uint64_t length) {
  return checked("fallocate", [&] {
    return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                       static_cast<off_t>(length));
  });
}

Status replace_fd(int by, int fd) {
  return checked("dup3", [&] { return ::dup3(by, fd, O_CLOEXEC); });
}

Status set_times(int fd, const struct timespec times[2]) {
  return checked("futimens", [&] { return ::futimens(fd, times); });
}

Result<std::optional<std::string>> get_xattr(int fd, const std::string& name) {
  std::string value(256, '\0');
  while (true) {
    const ssize_t n = ::fgetxattr(fd, name.c_str(), value.data(), value.size());
    if (n >= 0) {
      value.resize(static_cast<size_t>(n));
      return value;
    }
    if (errno == ENODATA) return std::nullopt;
    if (errno != ERANGE || value.size() > XATTR_SIZE_MAX) return fail_errno(name, errno);
    value.resize(value.size() * 4);
  }
}

Status set_xattr(int fd, const std::string& name, std::string_view value) {
  return checked(name,
                 [&] { return ::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0); });
}

Status remove_xattr(int fd, const std::string& name) {
  if (::fremovexattr(fd, name.c_str()) < 0 && errno != ENODATA) return fail_errno(name, errno);
  return {};
}

Status try_lock(int fd, LockMode mode) {
  int operation = (mode == LockMode::kShared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  if (retry_eintr([&] { return ::flock(fd, operation); }) == 0) return {};
  if (errno == EWOULDBLOCK) return fail(ErrorKind::kBusy, "locked by another user of it");
  return fail_errno("flock", errno);
}

void unlock(int fd) {
  ::flock(fd, LOCK_UN);
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

bool untouched(const struct stat& before, const struct stat& now) {
  return same_file(before, now) && before.st_size == now.st_size &&
         before.st_mtim.tv_sec == now.st_mtim.tv_sec &&
         before.st_mtim.tv_nsec == now.st_mtim.tv_nsec;
}

std::optional<bool> open_elsewhere(int fd) {
  // Who opens it in this moment waits until the lease is gone, and we are told by a signal: one
  // that does nothing.
  if (::fcntl(fd, F_SETSIG, SIGURG) < 0) return std::nullopt;
  if (::fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
    return errno == EAGAIN ? std::optional(true) : std::nullopt;
  ::fcntl(fd, F_SETLEASE, F_UNLCK);
  return false;
}

Status each_entry(int dir, const std::function<Status(const DirEntry&)>& see) {
  // A descriptor of our own: fdopendir takes it over, and its position is not shared with others.
  int fd = retry_eintr([&] { return ::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) return fail_errno("opendir", errno);
  std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), &::closedir);
  if (!stream) {
    int error = errno;
    ::close(fd);
    return fail_errno("fdopendir", error);
  }
  DirEntry seen;
  while (true) {
    errno = 0;  // of readdir alone, whatever `see` has left there
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    seen.name = entry->d_name;
    seen.type = entry->d_type;
    if (seen.name == "." || seen.name == "..") continue;
    if (auto done = see(seen); !done) return done;
  }
  if (errno != 0) return fail_errno("readdir", errno);
  return {};
}

}  // namespace posix
}  // namespace imgcachefs
