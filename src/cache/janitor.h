// Janitor: keeps the cache directory as it should be, in the background: hits written to the index,
// prune and clean, what others did there taken in, and the account of its space true.
//
// Its own thread does a round every two seconds, and tidies every janitor_interval. make_room() is
// called by whoever needs space (SpaceBudget), one at a time, on threads that may wait for the
// disk.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "base/periodic_task.h"
#include "cache/cache_index.h"
#include "cache/cache_layout.h"
#include "cache/cache_records.h"
#include "cache/eviction.h"
#include "cache/image_table.h"
#include "cache/space_budget.h"
#include "cache/store_config.h"

namespace imgcachefs {

class Janitor {
 public:
  // What it is given must outlive it.
  Janitor(const StoreConfig& config, const CacheLayout& layout, CacheIndex& index,
          CacheRecords& records, SpaceBudget& budget, ImageTable& table)
      : config_(config),
        layout_(layout),
        index_(index),
        records_(records),
        budget_(budget),
        table_(table) {}

  void start();  // counts the directory, then starts the thread
  void stop();   // joins it; room is made all the same

  // Frees `bytes` of the disk, or nothing when so many cannot go; how many went. What others have
  // taken away meanwhile counts.
  uint64_t make_room(uint64_t bytes);

  uint64_t evicted_images() const { return evicted_images_; }
  uint64_t evicted_bytes() const { return evicted_bytes_; }

 private:
  void round();
  void tidy();
  void recount();
  uint64_t filled_bytes(Place place, const ImageId& id) const;
  void account(const Removals& removed, const char* reason);

  const StoreConfig& config_;
  const CacheLayout& layout_;
  CacheIndex& index_;
  CacheRecords& records_;
  SpaceBudget& budget_;
  ImageTable& table_;
  std::atomic<uint64_t> evicted_images_{0}, evicted_bytes_{0};
  std::atomic<bool> count_again_{false};  // what was counted may be too much
  // The thread's own.
  std::chrono::steady_clock::time_point next_tidy_{};
  std::chrono::steady_clock::time_point next_count_ = std::chrono::steady_clock::time_point::max();
  std::unique_ptr<PeriodicTask> thread_;  // last: it uses all the others
};

}  // namespace imgcachefs
