// Gate: who comes before it is open is let in when it opens, and no thread waits for that.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace imgcachefs {

// Thread-safe.
class Gate {
 public:
  // Runs `act`: at once when the gate is open, else from the thread that opens it.
  void pass(std::function<void()> act) {
    if (!open_) {
      std::unique_lock lock(mutex_);
      if (!open_) return waiting_.push_back(std::move(act));
    }
    act();
  }

  void open() {  // for good
    std::vector<std::function<void()>> waiting;
    {
      std::lock_guard lock(mutex_);
      open_ = true;
      waiting.swap(waiting_);
    }
    for (auto& act : waiting) act();
  }

 private:
  std::atomic<bool> open_{false};
  std::mutex mutex_;  // protects waiting_
  std::vector<std::function<void()>> waiting_;
};

}  // namespace imgcachefs
