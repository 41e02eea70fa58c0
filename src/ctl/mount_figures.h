// What a mount's status page says (fs/status_page.h), as far as people are told.
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

struct ImageCounts {
  uint64_t cached = 0, incomplete = 0, invalid = 0, queued = 0;
};

struct UpstreamFigures {
  uint64_t requests = 0, bytes = 0, errors = 0, retries = 0;  // since the mount
  std::optional<bool> up;                                     // nullopt: it was not asked yet
  std::string last_error, last_error_time;                    // RFC 3339; "": there was none
};

// What a page does not say is 0, or empty.
struct MountFigures {
  std::string version, source, cache_dir, driver, passthrough;
  std::string mounted_at;                           // RFC 3339
  uint64_t max_size = 0, used = 0, chunk_size = 0;  // bytes
  ImageCounts images;
  uint64_t hits = 0, misses = 0;  // opens since the mount
  UpstreamFigures upstream;
  std::map<ImageId, FillFigures> fills;
  std::map<ImageId, QueueFigures> queue;  // only what was tried
};

Result<MountFigures> mount_figures(const std::string& mountpoint);

// Of a page that was read already. kIo: it is none.
Result<MountFigures> parse_figures(const std::string& mountpoint, const std::string& page);

}  // namespace imgcachefs
