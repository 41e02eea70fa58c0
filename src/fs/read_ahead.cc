#include "fs/read_ahead.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/log.h"
#include "base/posix.h"

namespace imgcachefs {

void set_read_ahead(const std::string& mountpoint, dev_t device, uint64_t bytes) {
  struct stat answer {};
  if (::stat(mountpoint.c_str(), &answer) != 0) return;
  const std::string path =
      fmt::format("/sys/class/bdi/{}:{}/read_ahead_kb", major(device), minor(device));
  const std::string text = fmt::format("{}\n", bytes >> 10);
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd || !posix::write_at(fd.get(), std::as_bytes(std::span(text)), 0))
    spdlog::debug("{} was not set to {}", path, bytes >> 10);
}

}  // namespace imgcachefs
