// What the file system itself counts of the requests it answers, for the metrics.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/histogram.h"

namespace imgcachefs {

struct ErrorCount {
  std::string operation;   // "lookup", "open", "read", "list"
  std::string errno_name;  // "EIO"
  uint64_t count;
};

struct OperationTimes {
  std::string operation;
  HistogramFigures times;  // from a request to its reply, however long it was parked
};

// Since the mount. Reads that the kernel answers by itself, from its page cache or in passthrough,
// never come here.
struct RequestFigures {
  uint64_t hit_bytes = 0;   // read from images that were cached when opened
  uint64_t miss_bytes = 0;  // read from others
  std::vector<ErrorCount> errors;
  std::vector<OperationTimes> operations = {};
  // Opens of cached images: those that the kernel reads by itself, and those that are read through
  // us.
  uint64_t passed_opens = 0, own_opens = 0;
};

}  // namespace imgcachefs
