// What the file system itself counts of the requests it answers, for the metrics.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace imgcachefs {

struct ErrorCount {
  std::string operation;   // "lookup", "open", "read", "list"
  std::string errno_name;  // "EIO"
  uint64_t count;
};

// Since the mount. Reads that the kernel answers by itself, from its page cache or in passthrough,
// never come here.
struct RequestFigures {
  uint64_t hit_bytes = 0;   // read from images that were cached when opened
  uint64_t miss_bytes = 0;  // read from others
  std::vector<ErrorCount> errors;
};

}  // namespace imgcachefs
