// What the fills of a store count together, for the metrics. Since the mount; thread-safe.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/histogram.h"

namespace imgcachefs {

struct FillCounters {
  std::atomic<uint64_t> coalesced{0};  // reads that waited for bytes that were on their way already
  std::atomic<uint64_t> around{0};     // images that came to be served around the cache
  Histogram took{buckets::kTransfers};  // fills that became cached, from their first request on
};

}  // namespace imgcachefs
