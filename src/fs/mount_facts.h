// What is known of a mount from its start to its end, for the pages and the root's attributes.
#pragma once

#include <string>

#include "base/units.h"

namespace imgcachefs {

struct MountFacts {
  std::string version;
  std::string source;  // as given: what is refused in it are passwords, so it may be shown
  std::string cache_dir;
  WallTime mounted_at = std::chrono::system_clock::now();
};

}  // namespace imgcachefs
