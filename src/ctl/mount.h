// A mounted imgcachefs, as one can ask it from outside.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace imgcachefs {

// The cache directory of the imgcachefs mounted there. kInvalid: none is.
Result<std::string> mount_cache_dir(const std::string& mountpoint);

// What MOUNTPOINT/.imgcachefs/status says: JSON.
Result<std::string> mount_status(const std::string& mountpoint);

// Where the daemon of a cache directory is mounted, as far as this mount namespace shows it.
std::optional<std::string> find_mount(const std::string& cache_dir);

}  // namespace imgcachefs
