// Counts what the file system answers. On every request's path: relaxed atomics and nothing else.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/histogram.h"
#include "fs/request_figures.h"

namespace imgcachefs {

// What the kernel asks for. kList: the opening of a directory, which makes its list; kReaddir gives
// parts of that out.
enum class Operation {
  kLookup,
  kGetattr,
  kReadlink,
  kOpen,
  kRead,
  kLseek,
  kRelease,
  kList,
  kReaddir,
  kStatfs,
  kGetxattr,
  kListxattr,
};
inline constexpr size_t kOperations = static_cast<size_t>(Operation::kListxattr) + 1;
std::string_view to_string(Operation operation);  // "lookup", as in the metrics and the log

// Takes the time of one request: from when it is made to when it goes, which is after the reply.
class RequestTimer {
 public:
  explicit RequestTimer(Histogram& times)
      : times_(&times), begun_(std::chrono::steady_clock::now()) {}
  RequestTimer(RequestTimer&& other) noexcept
      : times_(std::exchange(other.times_, nullptr)), begun_(other.begun_) {}
  RequestTimer& operator=(RequestTimer&&) = delete;
  ~RequestTimer() {
    if (times_ != nullptr) times_->observe(std::chrono::steady_clock::now() - begun_);
  }

 private:
  Histogram* times_;  // nullptr: moved away
  const std::chrono::steady_clock::time_point begun_;
};

// Thread-safe.
class RequestCounters {
 public:
  RequestTimer begin(Operation operation) {
    return RequestTimer(times_[static_cast<size_t>(operation)]);
  }
  void read_hit(uint64_t bytes) { hit_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void read_miss(uint64_t bytes) { miss_bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  // A cached image was opened, and who reads it: the kernel by itself, or we.
  void opened_cached(bool passthrough) {
    (passthrough ? passed_opens_ : own_opens_).fetch_add(1, std::memory_order_relaxed);
  }

  uint64_t hit_bytes() const { return hit_bytes_; }
  uint64_t miss_bytes() const { return miss_bytes_; }
  RequestFigures figures() const;  // without the errors

 private:
  std::array<Histogram, kOperations> times_;
  std::atomic<uint64_t> hit_bytes_{0}, miss_bytes_{0};
  std::atomic<uint64_t> passed_opens_{0}, own_opens_{0};
};

}  // namespace imgcachefs
