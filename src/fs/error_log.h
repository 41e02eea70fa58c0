// Errors as a user sees them: which errno, and the log line that explains it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "fs/request_figures.h"

namespace imgcachefs {

// The one place where an Error becomes an errno (DESIGN 2.2).
int errno_of(ErrorKind kind);

// Lets a line through the first time and then once a period, however often it comes: a guest that
// retries a bad sector must not fill the log. Thread-safe.
class RepeatFilter {
 public:
  using Clock = std::chrono::steady_clock;
  explicit RepeatFilter(std::chrono::seconds period) : period_(period) {}

  struct Verdict {
    bool pass;
    uint64_t held_back;  // the same line, since it last passed
  };
  Verdict ask(const std::string& line, Clock::time_point now = Clock::now());

 private:
  struct Seen {
    Clock::time_point passed;
    uint64_t held_back = 0;
  };
  const std::chrono::seconds period_;
  std::mutex mutex_;  // protects seen_
  std::unordered_map<std::string, Seen> seen_;
};

// Writes one line per error that reaches a user (operation, image, upstream, reason) and counts
// them. Thread-safe.
class ErrorLog {
 public:
  explicit ErrorLog(std::string upstream) : upstream_(std::move(upstream)) {}

  // Returns the errno the user gets.
  int report(std::string_view operation, std::string_view image_id, const Error& error);

  std::vector<ErrorCount> counts() const;

 private:
  const std::string upstream_;  // redacted
  RepeatFilter repeats_{std::chrono::seconds(10)};
  mutable std::mutex mutex_;  // protects counts_
  std::map<std::pair<std::string, int>, uint64_t> counts_;
};

}  // namespace imgcachefs
