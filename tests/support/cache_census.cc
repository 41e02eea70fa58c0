#include "support/cache_census.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

namespace imgcachefs::test {
namespace {

using File = std::pair<std::string, ino_t>;

// What there is of a sparse file. Not st_blocks, which has blocks of the file system's own in it
// (of many extents, of attributes).
uint64_t data_bytes(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOATIME);
  if (fd < 0) return 0;
  uint64_t sum = 0;
  for (off_t at = 0;;) {
    const off_t data = ::lseek(fd, at, SEEK_DATA);
    if (data < 0) break;
    at = ::lseek(fd, data, SEEK_HOLE);
    if (at < 0) break;
    sum += static_cast<uint64_t>(at - data);
  }
  ::close(fd);
  return sum;
}

// Cached images count their size, as Glance counts, the others what they have on disk.
std::map<File, uint64_t> look(const std::string& cache_dir) {
  std::map<File, uint64_t> found;
  for (const char* place : {"/incomplete", "/invalid", ""}) {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(cache_dir + place, ignored)) {
      const std::string name = entry.path().filename();
      struct stat st;
      if (name.starts_with("cache.db") || ::stat(entry.path().c_str(), &st) < 0 ||
          !S_ISREG(st.st_mode))
        continue;
      const auto bytes =
          *place == '\0' ? static_cast<uint64_t>(st.st_size) : data_bytes(entry.path());
      // One that was renamed during the look is met twice.
      auto [at, fresh] = found.emplace(File{name, st.st_ino}, bytes);
      if (!fresh) at->second = std::min(at->second, bytes);
    }
  }
  return found;
}

}  // namespace

uint64_t census(const std::string& cache_dir) {
  const auto before = look(cache_dir), after = look(cache_dir);
  uint64_t sum = 0;
  for (const auto& [file, bytes] : before)
    if (auto still = after.find(file); still != after.end()) sum += std::min(bytes, still->second);
  return sum;
}

}  // namespace imgcachefs::test
