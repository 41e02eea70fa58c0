// What a program that reads a file gets of it, one way of reading each. Each stops at the first
// error, as programs do; none of them throws.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace imgcachefs::test {

struct Got {
  std::string bytes;  // in the order they came
  int error = 0;      // errno of the open or read that ended it; 0: the end of the file
};

struct ReadSpec {
  uint64_t begin = 0;
  uint64_t end = UINT64_MAX;                          // or the end of the file
  size_t piece = 128 << 10;                           // bytes asked for at a time
  bool direct = false;                                // O_DIRECT
  std::function<void(uint64_t bytes)> progress = {};  // told after every piece
};
Got read_path(const std::string& path, const ReadSpec& spec = {});
Got read_fd(int fd, const ReadSpec& spec = {});
// Page by page through a mapping of all of it. A page that cannot be had is EFAULT.
Got read_mapped(const std::string& path);

}  // namespace imgcachefs::test
