// The bytes the cache may take, those it takes, and those promised to fills.
//
// Nothing is fetched into the cache without a SpaceReservation taken before. When there is no room,
// the least recently used images that nobody has open make way; when that is not enough the answer
// is kNoSpace, nothing was evicted, and the reader is served around the cache.
//
//     used      what lies on disk: cached, incomplete and invalid images
//     promised  reserved and not yet written
//     used + promised <= max_size, and the file system keeps min_free free once all promises are
//     kept
//
// Thread-safe. `mutex_` protects the figures and is never held across I/O. `evicting_` makes
// evictions follow one another, so that two who need room do not both evict for the same bytes; it
// is held while files are unlinked, and only threads that want to evict ever wait for it. Before
// the directory was counted for the first time nobody knows how much there is: who asks, waits.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

#include "base/result.h"
#include "cache/cache_layout.h"
#include "cache/store_status.h"

namespace imgcachefs {

class SpaceBudget;

// Bytes promised to one fill. Move-only; gives back what was not used.
class SpaceReservation {
 public:
  SpaceReservation() = default;
  SpaceReservation(SpaceReservation&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  SpaceReservation& operator=(SpaceReservation&& other) noexcept;
  ~SpaceReservation();

  uint64_t bytes() const { return bytes_; }  // still promised
  void use(uint64_t bytes);                  // so many of them are on disk now
  void merge(SpaceReservation other);        // of the same budget
  SpaceReservation split(uint64_t bytes);    // takes out so many, or what there is

 private:
  friend class SpaceBudget;
  SpaceReservation(SpaceBudget* budget, uint64_t bytes) : budget_(budget), bytes_(bytes) {}

  SpaceBudget* budget_ = nullptr;
  uint64_t bytes_ = 0;
};

// Bytes that came to the disk and that went from it since the start; never less than before.
struct SpaceMoved {
  uint64_t landed = 0, freed = 0;
};

class SpaceBudget {
 public:
  // Evicts so that `bytes` go from the disk, or nothing when so many cannot go; how many went.
  using Evict = std::function<uint64_t(uint64_t bytes)>;

  SpaceBudget(uint64_t max_size, uint64_t min_free, const CacheLayout& layout, Evict evict);

  // New ones, from now on; what exceeds them goes when somebody makes room.
  void set_limits(uint64_t max_size, uint64_t min_free);
  uint64_t max_size() const;  // bytes

  // kNoSpace when it cannot be had. May evict: not for a thread that must not wait for the disk.
  Result<SpaceReservation> reserve(uint64_t bytes);

  void freed(uint64_t bytes);  // so many left the disk

  // What is on disk is not known yet: reserve(), used(), excess() and usage() wait for the first
  // recount(), or for wait_no_more() when there will be none.
  void expect_count();
  void wait_no_more();

  // What a look at the directory found on disk; `before` is what moved() said when the look began.
  // What moved meanwhile, or was promised and is perhaps written, may have been seen or not: by so
  // much the account is believed more than the look. False: there was such; look again when it is
  // quieter.
  bool recount(uint64_t on_disk, const SpaceMoved& before);
  SpaceMoved moved() const;
  uint64_t used() const;
  // Bytes by which the limits are exceeded now (somebody else wrote, the limit is new); 0: none.
  uint64_t excess() const;
  SpaceUsage usage() const;

 private:
  friend class SpaceReservation;
  uint64_t shortage(uint64_t wanted) const;  // bytes that must go before `wanted` fit
  void give_back(uint64_t bytes);
  void use(uint64_t bytes);

  void wait_for_count(std::unique_lock<std::mutex>& lock) const;  // of mutex_

  const CacheLayout& layout_;
  const Evict evict_;
  std::mutex evicting_;
  mutable std::mutex mutex_;
  uint64_t max_size_;
  uint64_t min_free_;
  mutable std::condition_variable counted_;
  bool is_counted_ = true;
  uint64_t used_ = 0;
  uint64_t promised_ = 0;
  SpaceMoved moved_;
};

}  // namespace imgcachefs
