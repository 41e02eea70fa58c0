// History: what a mount did lately, interval by interval, for the status page.
//
// Ten minutes in intervals of ten seconds, and six hours in minutes: 420 samples, however long the
// mount lives.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

namespace imgcachefs {

// Counted since the mount, or within an interval.
struct Traffic {
  uint64_t hits = 0, misses = 0;  // opens
  uint64_t upstream_bytes = 0;

  Traffic since(const Traffic& before) const {
    return {hits - before.hits, misses - before.misses, upstream_bytes - before.upstream_bytes};
  }
};

// Thread-safe.
class History {
 public:
  static constexpr std::chrono::seconds kFine{10}, kCoarse{60};
  static constexpr size_t kFineSamples = 60, kCoarseSamples = 360;

  // To be told every kFine what was counted since the mount.
  void add(const Traffic& total);

  // The last kFineSamples and kCoarseSamples intervals that are over, the oldest first; fewer when
  // the mount is younger.
  std::vector<Traffic> fine() const;
  std::vector<Traffic> coarse() const;

 private:
  mutable std::mutex mutex_;  // protects the rest
  Traffic last_, last_coarse_;
  int until_coarse_ = kCoarse / kFine;
  std::deque<Traffic> fine_, coarse_;
};

}  // namespace imgcachefs
