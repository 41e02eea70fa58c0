// The mount point and the kernel's table of mounts.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/result.h"

namespace imgcachefs {

struct MountEntry {
  dev_t device = 0;
  std::string type, source;
};

// What is mounted at `path`: the top one, when several are; nullopt when it is no mount point.
std::optional<MountEntry> mounted_at(const std::string& path);
std::optional<MountEntry> find_mount(const std::string& mountinfo, const std::string& path);

// Is it fit to be mounted on? It is a directory, we are not there already, and neither of it and
// the cache directory lies in the other, and our log is not written into ourselves. A dead mount of
// ours is taken away, with a warning.
Status prepare_mount_point(const std::string& mountpoint, const std::string& cache_dir,
                           const std::string& log_file);

// Takes the mount on `mountpoint` out of sight, if it is that of `device`; who has a file of it
// open keeps it. A mount that somebody has put over ours, or after it, stays. `connected`: the
// kernel still has a connection to our mount.
void detach_mount(const std::string& mountpoint, dev_t device, bool connected);

}  // namespace imgcachefs
