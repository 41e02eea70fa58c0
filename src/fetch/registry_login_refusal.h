// A refusal that is kept for some seconds: who asks again and again with a wrong password locks the
// account of somebody.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>

#include "base/result.h"

namespace imgcachefs {

constexpr std::chrono::seconds kRegistryRefusalHolds{10};

// Thread-safe.
class HeldRefusal {
 public:
  // False: there was one already; it is replaced.
  bool remember(const Error& error) {
    std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    const bool first = !error_ || now >= ends_;
    error_ = error;
    ends_ = now + kRegistryRefusalHolds;
    return first;
  }
  // nullopt: there was none, or it is over.
  std::optional<Error> now() const {
    std::lock_guard lock(mutex_);
    return error_ && std::chrono::steady_clock::now() < ends_ ? error_ : std::nullopt;
  }

 private:
  mutable std::mutex mutex_;  // protects what follows
  std::optional<Error> error_;
  std::chrono::steady_clock::time_point ends_;
};

}  // namespace imgcachefs
