#include "ctl/mount.h"

#include <fmt/format.h>
#include <mntent.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>
#include <climits>
#include <fstream>
#include <iterator>
#include <memory>

namespace imgcachefs {

Result<std::string> mount_cache_dir(const std::string& mountpoint) {
  std::string value(PATH_MAX, '\0');
  const ssize_t n =
      ::getxattr(mountpoint.c_str(), "user.imgcachefs.cache_dir", value.data(), value.size());
  if (n < 0 && (errno == ENODATA || errno == ENOTSUP))
    return fail(ErrorKind::kInvalid, fmt::format("{}: no imgcachefs is mounted there", mountpoint));
  if (n < 0) return fail_errno(mountpoint, errno);
  value.resize(static_cast<size_t>(n));
  return value;
}

Result<std::string> mount_status(const std::string& mountpoint) {
  const std::string path = mountpoint + "/.imgcachefs/status";
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  // To its end rather than for its size: the size of a file that is made up as it is read says
  // nothing.
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || file.bad()) return fail_errno(path, errno != 0 ? errno : EIO);
  return text;
}

std::optional<std::string> find_mount(const std::string& cache_dir) {
  struct stat wanted;
  if (::stat(cache_dir.c_str(), &wanted) != 0) return std::nullopt;
  std::unique_ptr<FILE, int (*)(FILE*)> table(::setmntent("/proc/self/mounts", "r"), &::endmntent);
  if (!table) return std::nullopt;
  struct mntent entry;
  std::array<char, 4 * PATH_MAX> strings;
  while (::getmntent_r(table.get(), &entry, strings.data(), strings.size()) != nullptr) {
    if (std::string_view(entry.mnt_type) != "fuse.imgcachefs") continue;
    auto dir = mount_cache_dir(entry.mnt_dir);
    struct stat st;
    if (dir && ::stat(dir->c_str(), &st) == 0 && st.st_ino == wanted.st_ino &&
        st.st_dev == wanted.st_dev)
      return entry.mnt_dir;
  }
  return std::nullopt;
}

}  // namespace imgcachefs
