// What a mount's status page says of its fills and of its queue.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "fetch/image_id.h"

namespace imgcachefs {

struct FillFigures {
  uint64_t size = 0, cached_bytes = 0;  // bytes
  uint64_t rate = 0;                    // bytes per second
  bool whole = false;                   // the daemon is caching all of it
};

struct QueueFigures {
  unsigned attempts = 0;       // that failed
  std::optional<Error> error;  // of the last one
  std::string next_try;        // RFC 3339; "": it is being tried
};

struct MountFigures {
  std::map<ImageId, FillFigures> fills;
  std::map<ImageId, QueueFigures> queue;  // only what was tried
};

Result<MountFigures> mount_figures(const std::string& mountpoint);

}  // namespace imgcachefs
