// A cache directory of a test's own, and the files one wants to find in it. Gone with the object.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "support/temp_dir.h"

namespace imgcachefs::test {

class ScratchCache {
 public:
  const std::filesystem::path& root() const { return root_.path(); }
  std::string dir() const { return (root() / "cache").string(); }  // made by whoever needs it

  // A path in the cache: "<id>", "incomplete/<id>", "cache.db", ...
  std::filesystem::path path(std::string_view name) const { return root() / "cache" / name; }
  bool has(std::string_view name) const {
    return std::filesystem::exists(std::filesystem::symlink_status(path(name)));
  }

  // A file of `size` real bytes, last read and written `age` ago; directories come as needed.
  void file(std::string_view name, size_t size, std::chrono::seconds age = {}) const {
    std::filesystem::create_directories(path(name).parent_path());
    std::ofstream(path(name), std::ios::binary) << std::string(size, 'x');
    touch(name, age);
  }
  void touch(std::string_view name, std::chrono::seconds age) const {
    struct timespec now;
    ::clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec -= age.count();
    const struct timespec times[2] = {now, now};
    ASSERT_EQ(::utimensat(AT_FDCWD, path(name).c_str(), times, 0), 0) << name;
  }

 private:
  TempDir root_;
};

// Holds a file of the cache as an open image does: with a shared flock.
class InUse {
 public:
  explicit InUse(const std::filesystem::path& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    EXPECT_EQ(::flock(fd_, LOCK_SH | LOCK_NB), 0) << path;
  }
  ~InUse() { ::close(fd_); }
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;

 private:
  int fd_;
};

}  // namespace imgcachefs::test
