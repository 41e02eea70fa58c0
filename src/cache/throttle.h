// limit_rate: how many bytes a second all background filling together may bring.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

namespace imgcachefs {

// A token bucket that holds a tenth of a second's worth. Thread-safe.
class Throttle {
 public:
  explicit Throttle(uint64_t bytes_per_second) : rate_(bytes_per_second) {}  // 0: no limit

  void set_rate(uint64_t bytes_per_second) { rate_ = bytes_per_second; }
  uint64_t rate() const { return rate_; }

  // Takes `bytes` out; how long the caller is to wait before it takes more.
  std::chrono::nanoseconds take(uint64_t bytes) {
    using namespace std::chrono;
    const uint64_t rate = rate_;
    if (rate == 0) return nanoseconds(0);
    std::lock_guard lock(mutex_);
    const auto now = steady_clock::now();
    free_at_ = std::max(free_at_, now - milliseconds(100)) + cost(bytes, rate);
    return free_at_ - now;
  }

  // Puts bytes that were taken back: they were not for the background after all.
  void give_back(uint64_t bytes) {
    const uint64_t rate = rate_;
    if (rate == 0) return;
    std::lock_guard lock(mutex_);
    free_at_ -= cost(bytes, rate);
  }

 private:
  static std::chrono::nanoseconds cost(uint64_t bytes, uint64_t rate) {
    return std::chrono::nanoseconds(
        static_cast<int64_t>(static_cast<double>(bytes) * 1e9 / static_cast<double>(rate)));
  }

  std::atomic<uint64_t> rate_;
  std::mutex mutex_;  // protects free_at_
  std::chrono::steady_clock::time_point free_at_{};
};

}  // namespace imgcachefs
