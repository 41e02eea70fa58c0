// Whether to try what may be broken: after a failure not for a while, and for longer each time.
#pragma once

#include <algorithm>
#include <chrono>
#include <utility>

namespace imgcachefs {

// Not thread-safe. Times are those of the caller, who need not wait for them in a test.
class Circuit {
 public:
  using Clock = std::chrono::steady_clock;
  struct Pauses {
    std::chrono::milliseconds first{1'000};
    std::chrono::milliseconds longest{30'000};
  };

  explicit Circuit(Pauses pauses) : pauses_(pauses), pause_(pauses.first) {}

  // True: try now, and say failed() or worked(). While it is broken one asker gets through after
  // each pause. It need not say how it went: then the next one gets through a pause later.
  bool may_try(Clock::time_point now) {
    if (!broken_) return true;
    if (now < retry_at_) return false;
    probing_ = true;
    retry_at_ = now + pause_;
    return true;
  }

  // True: this is news, it had worked until now.
  bool failed(Clock::time_point now) {
    // Of many that were under way when it broke, only the first counts.
    if (broken_ && !probing_) return false;
    // What works for a moment between two failures is not well yet: the pause goes on growing.
    const bool again = ever_failed_ && now - failed_at_ <= 2 * pauses_.longest;
    pause_ = again ? std::min(2 * pause_, pauses_.longest) : pauses_.first;
    ever_failed_ = true;
    failed_at_ = now;
    retry_at_ = now + pause_;
    probing_ = false;
    return !std::exchange(broken_, true);
  }

  // True: this is news, it had been broken.
  bool worked() {
    probing_ = false;
    return std::exchange(broken_, false);
  }

 private:
  const Pauses pauses_;
  std::chrono::milliseconds pause_;
  bool broken_ = false, probing_ = false, ever_failed_ = false;
  Clock::time_point failed_at_, retry_at_;
};

}  // namespace imgcachefs
