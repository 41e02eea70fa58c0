// The system calls we use, as functions that return a Result and descriptors that close themselves.
// Thread-safe as the calls below them are. EINTR is retried here and seen nowhere else.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imgcachefs {

// Owns a file descriptor; -1 is none.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

namespace posix {

// `name` is relative to the directory `dir` (AT_FDCWD: the working directory). O_CLOEXEC is always
// added.
Result<UniqueFd> open_at(int dir, const std::string& name, int flags, mode_t mode = 0600);
// The same, and reading through it leaves the access time alone where that is permitted (the file's
// owner and root): who works for the cache must not look like who uses an image.
Result<UniqueFd> open_unnoticed_at(int dir, const std::string& name, int flags, mode_t mode = 0600);
// Another way to the same directory: what is opened by it is read without a new access time, also
// by who reads the file on our behalf and was not told to (the kernel, in passthrough). Needs
// CAP_SYS_ADMIN.
Result<UniqueFd> unnoticed_dir(int dir);
Result<struct stat> stat_at(int dir, const std::string& name);  // never follows a symlink
Result<struct stat> stat_fd(int fd);
Result<struct statvfs> statvfs_fd(int fd);
Status unlink_at(int dir, const std::string& name);
Status unlink_if_there_at(int dir, const std::string& name);  // none there is no error
Status rename_at(int from_dir, const std::string& from, int to_dir, const std::string& to);
// The same, but never over what is there: EEXIST.
Status rename_new_at(int from_dir, const std::string& from, int to_dir, const std::string& to);
Status make_dir_at(int dir, const std::string& name, mode_t mode);  // an existing one is no error

Status write_at(int fd, std::span<const std::byte> bytes, uint64_t offset);  // all of them
// Fewer bytes than asked for only at the end of the file; returns how many.
Result<size_t> read_at(int fd, std::span<std::byte> into, uint64_t offset);
Result<std::string> read_file_at(int dir, const std::string& name, size_t limit = 64 << 20);
Status truncate(int fd, uint64_t size);
// Has the disk begin to take what was written there, and does not wait for it; no promise.
void start_write_back(int fd, uint64_t offset, uint64_t length);
Status sync_data(int fd);  // fdatasync
Status sync_all(int fd);   // fsync; also right for a directory
Status punch_hole(int fd, uint64_t offset, uint64_t length);
// `fd` means from now on what `by` means, in one step for all threads.
Status replace_fd(int by, int fd);
Status set_times(int fd, const struct timespec times[2]);

// Extended attributes, of a file or a directory. nullopt: there is none of that name.
Result<std::optional<std::string>> get_xattr(int fd, const std::string& name);
Status set_xattr(int fd, const std::string& name, std::string_view value);
Status remove_xattr(int fd, const std::string& name);  // none there is no error

enum class LockMode { kShared, kExclusive };
// flock, without waiting: kBusy when somebody else has it. Gone with the last copy of the
// descriptor.
Status try_lock(int fd, LockMode mode);

void unlock(int fd);  // while copies of the descriptor go on

// The same file.
bool same_file(const struct stat& a, const struct stat& b);
// The same file, and with what it held then: size and time of change are what they were.
bool untouched(const struct stat& before, const struct stat& now);

// Whether anybody else has the file open, by the only question the kernel answers about it: a write
// lease is given to who is alone. nullopt: it does not answer (not our file, a file system
// without).
std::optional<bool> open_elsewhere(int fd);

struct DirEntry {
  std::string name;
  unsigned char type;  // DT_REG, ... ; DT_UNKNOWN where the file system does not say
};
// Shows each entry, without "." and "..", until `see` fails. `dir` may be used again after.
Status each_entry(int dir, const std::function<Status(const DirEntry&)>& see);

}  // namespace posix
}  // namespace imgcachefs
