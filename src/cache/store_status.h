// Figures of a store, for statfs, the status page and the metrics.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "base/result.h"
#include "base/units.h"
#include "fetch/image_id.h"

namespace imgcachefs {

struct SpaceUsage {
  uint64_t limit =
      0;              // bytes the cache may take: max_size, or less when the file system is smaller
  uint64_t used = 0;  // bytes cached, incomplete and invalid images take
  uint64_t images = 0;  // cached ones
};

struct FillStatus {
  ImageId id;
  uint64_t size = 0;          // bytes
  uint64_t cached_bytes = 0;  // of it, present
  double rate = 0;            // bytes per second from upstream, lately
  bool whole = false;         // all of the image is on its way, not just what readers asked for
};

// A queued image that the prefetcher tried, or is trying.
struct QueueStatus {
  ImageId id;
  unsigned attempts = 0;             // that failed
  std::optional<Error> error;        // of the last of them
  std::optional<WallTime> next_try;  // nullopt: it is being tried
};

struct Evicted {
  uint64_t images = 0, bytes = 0;  // invalid and incomplete ones too
};

// Counters since the mount.
struct StoreCounters {
  uint64_t hits = 0;    // opens of cached images
  uint64_t misses = 0;  // opens of others
  uint64_t fills_completed = 0, fills_failed = 0;
  uint64_t verify_failures = 0;
  Evicted for_room;    // because room was needed
  Evicted over_limit;  // because more was there than may be, when the janitor looked
  Evicted cleaned;     // invalid, or incomplete and stalled
  uint64_t dropped_changed = 0, dropped_gone = 0;  // cached images that upstream changed, removed
  uint64_t coalesced_reads = 0;                    // see FillCounters
  uint64_t served_around = 0;
  HistogramFigures fill_times;
};

struct StoreStatus {
  SpaceUsage space;
  uint64_t max_size = 0;
  uint32_t chunk_size = 0;
  std::string driver;
  uint64_t cached = 0, incomplete = 0, invalid = 0, queued = 0;  // images
  uint64_t pinned = 0;             // of those cached, as of the janitor's last look
  std::optional<WallTime> pruned;  // when it was looked last whether something has to go
  StoreCounters counters;
  uint64_t readers_waiting = 0;
  std::vector<FillStatus> fills;   // in progress
  std::vector<QueueStatus> queue;  // of those queued, by ID
};

}  // namespace imgcachefs
