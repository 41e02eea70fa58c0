// Janitor: keeps the cache directory as it should be, in the background: hits written to the index,
// prune and clean, what others did there taken in, and the account of its space true.
//
// Its own thread does a round every two seconds, and tidies every janitor_interval; the first round
// takes stock of the directory while the mount is served already. make_room() is called by whoever
// needs space (SpaceBudget), one at a time, on threads that may wait for the disk.
//
// A look at the whole directory takes a time that grows with the number of images. Tidying is such
// a look. Making room is none as a rule: what goes first is remembered.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <unordered_set>
#include <vector>

#include "base/periodic_task.h"
#include "cache/cache_index.h"
#include "cache/cache_layout.h"
#include "cache/cache_records.h"
#include "cache/eviction.h"
#include "cache/image_table.h"
#include "cache/space_budget.h"
#include "cache/store_config.h"
#include "cache/store_status.h"

namespace imgcachefs {

class Janitor {
 public:
  // What it is given must outlive it.
  Janitor(const StoreConfig& config, const CacheLayout& layout, CacheIndex& index,
          CacheRecords& records, SpaceBudget& budget, ImageTable& table, std::stop_token stop)
      : stall_time_(config.stall_time),
        interval_(config.janitor_interval),
        layout_(layout),
        index_(index),
        records_(records),
        budget_(budget),
        table_(table),
        stop_(std::move(stop)) {}

  void start();  // starts the thread; until it has counted the directory, SpaceBudget waits
  void stop();   // joins it; room is made all the same

  // New ones, from now on. The directory is tidied at once: a limit may be new, too.
  void set_times(std::chrono::seconds stall_time, std::chrono::seconds interval);

  // Frees `bytes` of the disk, or nothing when so many cannot go; how many went. What others have
  // taken away meanwhile counts.
  uint64_t make_room(uint64_t bytes);

  Evicted for_room() const { return for_room_.figures(); }
  Evicted over_limit() const { return over_limit_.figures(); }
  Evicted cleaned() const { return cleaned_.figures(); }
  // When it was looked last whether something has to go.
  std::optional<WallTime> pruned() const;

 private:
  // What may be done again only after a while in which it cost little: a twentieth of the time.
  class Sparing {
   public:
    bool due() const { return std::chrono::steady_clock::now() >= again_; }
    template <typename Do>
    auto run(Do act);

   private:
    std::chrono::steady_clock::time_point again_{};
  };
  // What was taken out for one reason.
  struct Account {
    std::atomic<uint64_t> images{0}, bytes{0};
    void add(const Removals& removed) {
      images += removed.files.size();
      bytes += removed.bytes;
    }
    Evicted figures() const { return {images, bytes}; }
  };
  struct Count {
    SpaceMoved before;     // when it began
    uint64_t on_disk = 0;  // bytes
    std::unordered_set<ino_t> met;
  };

  void round();
  void tidy();
  void take_stock();
  void recount();
  Status count_unfinished(Count& count) const;
  void add(Count& count, Place place, const StoredFile& file) const;
  void conclude(const Count& count);
  Removals evict_remembered(uint64_t bytes);
  Removals evict_any(uint64_t bytes);
  uint64_t filled_bytes(Place place, const ImageId& id) const;
  void evicted(const Removals& removed, Account& account, const char* reason);

  std::atomic<std::chrono::seconds> stall_time_, interval_;
  const CacheLayout& layout_;
  CacheIndex& index_;
  CacheRecords& records_;
  SpaceBudget& budget_;
  ImageTable& table_;
  const std::stop_token stop_;
  Account for_room_, over_limit_, cleaned_;
  std::atomic<WallTime> pruned_{WallTime{}};
  std::atomic<bool> count_again_{false};  // the last count was not sure
  std::atomic<bool> tidy_now_{false};
  // Of who makes room.
  std::vector<LastUse> order_;  // what goes first, as far as that was looked for
  Sparing recounting_, searching_;
  // The thread's own.
  WallTime looked_through_{};  // for unfinished files, last
  std::chrono::steady_clock::time_point next_tidy_{};
  std::chrono::steady_clock::time_point next_count_ = std::chrono::steady_clock::time_point::max();
  std::unique_ptr<PeriodicTask> thread_;  // last: it uses all the others
};

}  // namespace imgcachefs
