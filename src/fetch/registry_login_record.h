// What became of a login, whatever it was shown for.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>

#include "base/result.h"
#include "fetch/registry_login_refusal.h"

namespace imgcachefs {

// Thread-safe.
class LoginRecord {
 public:
  // It was let in.
  void good() {
    std::lock_guard lock(mutex_);
    proven_ = true;
    in_a_row_ = 0;
  }

  // It was refused for one scope. Some refuse the right one, too, where it has no business; of the
  // third in a row, and of the first where `unless_proven` and it was never let in, it is the login
  // that is wrong. Then refusal() is `error` for a while.
  void refused(const Error& error, bool unless_proven) {
    constexpr unsigned kMostInARow = 3;
    const auto now = std::chrono::steady_clock::now();
    bool wrong;
    {
      std::lock_guard lock(mutex_);
      in_a_row_ = now - latest_ < kRegistryRefusalHolds ? in_a_row_ + 1 : 1;
      latest_ = now;
      wrong = in_a_row_ >= kMostInARow || (unless_proven && !proven_);
    }
    if (wrong) refusal_.remember(error);
  }

  std::optional<Error> refusal() const { return refusal_.now(); }

 private:
  HeldRefusal refusal_;
  std::mutex mutex_;  // protects what follows
  bool proven_ = false;
  unsigned in_a_row_ = 0;
  std::chrono::steady_clock::time_point latest_;
};

}  // namespace imgcachefs
