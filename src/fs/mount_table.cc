#include "fs/mount_table.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/log.h"

namespace imgcachefs {
namespace {

constexpr const char* kType = "fuse.imgcachefs";

// The kernel writes blanks and backslashes as \ooo.
std::string unescaped(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool is_inside(const std::string& path, const std::string& directory) {
  return path == directory || path.starts_with(directory == "/" ? directory : directory + "/");
}

// statfs is asked of the daemon each time, and not kept waiting there; stat(2) of a dead mount may
// still be answered by the kernel.
bool is_dead(const std::string& mountpoint) {
  struct statvfs answer;
  return ::statvfs(mountpoint.c_str(), &answer) < 0 && errno == ENOTCONN;
}

bool unmount_lazily(const std::string& mountpoint) {
  if (::umount2(mountpoint.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return true;
  // Without the right to do so it is fusermount3 that has it.
  const char* argv[] = {"fusermount3", "-u", "-z", "-q", "--", mountpoint.c_str(), nullptr};
  pid_t pid;
  if (::posix_spawnp(&pid, argv[0], nullptr, nullptr, const_cast<char**>(argv), environ) != 0)
    return false;
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

std::optional<MountEntry> find_mount(const std::string& mountinfo, const std::string& path) {
  std::optional<MountEntry> found;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    // "36 35 98:0 /root /mnt options [tags...] - type source options" (proc(5))
    std::istringstream fields(line);
    std::string id, parent, device, root, mountpoint, word;
    fields >> id >> parent >> device >> root >> mountpoint;
    if (unescaped(mountpoint) != path) continue;
    while (fields >> word && word != "-") {
    }
    MountEntry entry;
    fields >> entry.type >> entry.source;
    entry.source = unescaped(entry.source);
    unsigned major = 0, minor = 0;
    char colon;
    std::istringstream(device) >> major >> colon >> minor;
    entry.device = makedev(major, minor);
    found = std::move(entry);
  }
  return found;
}

std::optional<MountEntry> mounted_at(const std::string& path) {
  std::ifstream file("/proc/self/mountinfo");
  return find_mount({std::istreambuf_iterator<char>(file), {}}, path);
}

Status prepare_mount_point(const std::string& mountpoint, const std::string& cache_dir,
                           const std::string& log_file) {
  auto mount = mounted_at(mountpoint);
  if (mount && mount->type == kType) {
    // Asked of the daemon each time, and never kept waiting there; stat(2) of a dead mount may
    // still be answered by the kernel.
    struct statvfs answer;
    const bool dead = ::statvfs(mountpoint.c_str(), &answer) < 0 && errno == ENOTCONN;
    if (!dead)
      return fail(ErrorKind::kBusy,
                  fmt::format("{}: {} is mounted there already", mountpoint, mount->source));
    spdlog::warn("{}: took away the dead mount of {}", mountpoint, mount->source);
    if (!unmount_lazily(mountpoint))
      return fail(ErrorKind::kBusy,
                  fmt::format("{}: a dead mount of {} is in the way", mountpoint, mount->source));
  }
  struct stat st {};
  if (::stat(mountpoint.c_str(), &st) < 0)
    return fail_errno(fmt::format("mount point {}", mountpoint), errno);
  if (!S_ISDIR(st.st_mode))
    return fail(ErrorKind::kInvalid, fmt::format("mount point {} is no directory", mountpoint));
  std::error_code ignored;
  const std::string cache = std::filesystem::weakly_canonical(cache_dir, ignored).string();
  if (is_inside(cache, mountpoint) || is_inside(mountpoint, cache))
    return fail(ErrorKind::kInvalid,
                fmt::format("the cache directory {} and the mount point {} lie one in the other",
                            cache_dir, mountpoint));
  if (is_inside(std::filesystem::weakly_canonical(log_file, ignored).string(), mountpoint))
    return fail(ErrorKind::kInvalid,
                fmt::format("the log file {} lies in the mount point {}", log_file, mountpoint));
  return {};
}

void detach_mount(const std::string& mountpoint, dev_t device, bool connected) {
  auto mount = mounted_at(mountpoint);
  if (!mount || mount->device != device) return;
  // Once the kernel has let go of our mount, the number of its device may be another's: a successor
  // of ours at the same place, who answers.
  if (!connected && !is_dead(mountpoint)) return;
  if (!unmount_lazily(mountpoint)) spdlog::warn("{}: cannot unmount", mountpoint);
}

}  // namespace imgcachefs
