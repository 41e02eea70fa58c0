// Which repositories the registry let us pull from, and when: leave to pull is the registry's to
// give, and no cache's.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace imgcachefs {

// Thread-safe, bounded.
class PullLeave {
 public:
  using Clock = std::chrono::steady_clock;

  // `believe`: how long; nullopt: for ever.
  explicit PullLeave(std::optional<std::chrono::seconds> believe) : believe_(believe) {}

  bool is_believed(const std::string& repository, Clock::time_point now = Clock::now()) const;
  void granted(const std::string& repository, Clock::time_point now = Clock::now());
  void refused(const std::string& repository);

  static constexpr size_t kMost = 100'000;  // repositories

 private:
  bool holds(Clock::time_point since, Clock::time_point now) const {
    return !believe_ || now - since < *believe_;
  }

  const std::optional<std::chrono::seconds> believe_;
  mutable std::mutex mutex_;  // protects granted_
  std::unordered_map<std::string, Clock::time_point> granted_;
};

}  // namespace imgcachefs
