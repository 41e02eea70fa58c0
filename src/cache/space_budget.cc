#include "cache/space_budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/units.h"

namespace imgcachefs {

SpaceReservation& SpaceReservation::operator=(SpaceReservation&& other) noexcept {
  std::swap(budget_, other.budget_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

SpaceReservation::~SpaceReservation() {
  if (budget_) budget_->give_back(bytes_);
}

void SpaceReservation::use(uint64_t bytes) {
  if (!budget_) return;
  // What was not promised is counted as used all the same: the account follows the disk.
  const uint64_t promised = std::min(bytes, bytes_);
  bytes_ -= promised;
  budget_->give_back(promised);
  budget_->use(bytes);
}

void SpaceReservation::merge(SpaceReservation other) {
  if (!budget_) budget_ = other.budget_;
  bytes_ += std::exchange(other.bytes_, 0);
}

SpaceReservation SpaceReservation::split(uint64_t bytes) {
  const uint64_t part = std::min(bytes, bytes_);
  bytes_ -= part;
  return SpaceReservation(budget_, part);
}

SpaceBudget::SpaceBudget(uint64_t max_size, uint64_t min_free, const CacheLayout& layout,
                         Evict evict)
    : layout_(layout), evict_(std::move(evict)), max_size_(max_size), min_free_(min_free) {}

void SpaceBudget::set_limits(uint64_t max_size, uint64_t min_free) {
  std::lock_guard lock(mutex_);
  max_size_ = max_size;
  min_free_ = min_free;
}

uint64_t SpaceBudget::max_size() const {
  std::lock_guard lock(mutex_);
  return max_size_;
}

Result<SpaceReservation> SpaceBudget::reserve(uint64_t bytes) {
  if (bytes == 0) return SpaceReservation(this, 0);
  const auto try_take = [&]() -> uint64_t {
    const uint64_t lack = shortage(bytes);
    if (lack > 0) return lack;
    std::lock_guard lock(mutex_);
    // Somebody may have taken the room since the look at it.
    if (used_ + promised_ + bytes > max_size_) return used_ + promised_ + bytes - max_size_;
    promised_ += bytes;
    return 0;
  };
  if (bytes > max_size())
    return fail(ErrorKind::kNoSpace, fmt::format("{} is more than max_size", human_size(bytes)));
  if (try_take() == 0) return SpaceReservation(this, bytes);
  std::lock_guard evicting(evicting_);
  // A few rounds: others fill while we evict.
  for (int round = 0; round < 4; ++round) {
    const uint64_t lack = try_take();
    if (lack == 0) return SpaceReservation(this, bytes);
    if (evict_(lack) == 0) break;
  }
  return fail(ErrorKind::kNoSpace, fmt::format("no room for {} in the cache", human_size(bytes)));
}

uint64_t SpaceBudget::shortage(uint64_t wanted) const {
  auto disk = posix::statvfs_fd(layout_.dir(Place::kCached));
  std::unique_lock lock(mutex_);
  wait_for_count(lock);
  uint64_t lack = 0;
  if (const uint64_t total = used_ + promised_ + wanted; total > max_size_)
    lack = total - max_size_;
  if (disk) {
    const uint64_t available = uint64_t{disk->f_bavail} * disk->f_frsize;
    const uint64_t needed = promised_ + wanted + min_free_;
    if (needed > available) lack = std::max(lack, needed - available);
  }
  return lack;
}

void SpaceBudget::expect_count() {
  std::lock_guard lock(mutex_);
  is_counted_ = false;
}

void SpaceBudget::wait_no_more() {
  std::lock_guard lock(mutex_);
  is_counted_ = true;
  counted_.notify_all();
}

void SpaceBudget::wait_for_count(std::unique_lock<std::mutex>& lock) const {
  counted_.wait(lock, [this] { return is_counted_; });
}

void SpaceBudget::freed(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  used_ -= std::min(used_, bytes);
  moved_.freed += bytes;
}

bool SpaceBudget::recount(uint64_t on_disk, const SpaceMoved& before) {
  std::lock_guard lock(mutex_);
  const uint64_t landed = moved_.landed - before.landed;
  const uint64_t unsure = landed + (moved_.freed - before.freed) + promised_;
  const uint64_t most = on_disk + landed;
  used_ = is_counted_ ? std::clamp(used_, most - std::min(most, unsure), most) : most;
  is_counted_ = true;
  counted_.notify_all();
  return unsure == 0;
}

SpaceMoved SpaceBudget::moved() const {
  std::lock_guard lock(mutex_);
  return moved_;
}

uint64_t SpaceBudget::used() const {
  std::unique_lock lock(mutex_);
  wait_for_count(lock);
  return used_;
}

uint64_t SpaceBudget::excess() const {
  return shortage(0);
}

SpaceUsage SpaceBudget::usage() const {
  auto disk = posix::statvfs_fd(layout_.dir(Place::kCached));
  std::unique_lock lock(mutex_);
  wait_for_count(lock);
  uint64_t limit = max_size_;
  if (disk) {
    const uint64_t available = uint64_t{disk->f_bavail} * disk->f_frsize;
    limit = std::min(limit, used_ + (available > min_free_ ? available - min_free_ : 0));
  }
  return {limit, std::min(used_, limit), 0};
}

void SpaceBudget::give_back(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  promised_ -= std::min(promised_, bytes);
}

void SpaceBudget::use(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  used_ += bytes;
  moved_.landed += bytes;
}

}  // namespace imgcachefs
