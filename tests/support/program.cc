#include "support/program.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "base/posix.h"

namespace imgcachefs::test {
namespace {

constexpr size_t kPage = 4096;

}  // namespace

Got read_path(const std::string& path, const ReadSpec& spec) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | (spec.direct ? O_DIRECT : 0)));
  if (!fd) return {{}, errno};
  return read_fd(fd.get(), spec);
}

Got read_fd(int fd, const ReadSpec& spec) {
  Got got;
  // O_DIRECT wants it aligned.
  std::unique_ptr<char, decltype(&std::free)> buffer(
      static_cast<char*>(std::aligned_alloc(kPage, (spec.piece + kPage - 1) / kPage * kPage)),
      &std::free);
  for (uint64_t at = spec.begin; at < spec.end;) {
    const size_t n = static_cast<size_t>(std::min<uint64_t>(spec.piece, spec.end - at));
    const ssize_t length = ::pread(fd, buffer.get(), n, static_cast<off_t>(at));
    if (length < 0) {
      got.error = errno;
      break;
    }
    if (length == 0) break;
    got.bytes.append(buffer.get(), static_cast<size_t>(length));
    at += static_cast<uint64_t>(length);
    if (spec.progress) spec.progress(got.bytes.size());
  }
  return got;
}

Got read_mapped(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st;
  if (!fd || ::fstat(fd.get(), &st) < 0) return {{}, errno};
  const size_t size = static_cast<size_t>(st.st_size);
  char* mapped = static_cast<char*>(::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0));
  if (mapped == MAP_FAILED) return {{}, errno};
  // The kernel copies from the mapping: where a program would get SIGBUS, this is told EFAULT.
  UniqueFd copy(::memfd_create("copy", MFD_CLOEXEC));
  Got got;
  for (size_t at = 0; at < size && got.error == 0; at += kPage) {
    const size_t n = std::min(kPage, size - at);
    if (::pwrite(copy.get(), mapped + at, n, 0) != static_cast<ssize_t>(n)) {
      got.error = EFAULT;
      break;
    }
    std::string page(n, '\0');
    if (::pread(copy.get(), page.data(), n, 0) != static_cast<ssize_t>(n)) got.error = errno;
    got.bytes += page;
  }
  ::munmap(mapped, size);
  return got;
}

}  // namespace imgcachefs::test
