// What is counted of the traffic with an upstream, for the metrics and the status page.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "base/result.h"
#include "base/units.h"

namespace imgcachefs {

struct UpstreamFailure {
  std::string message;
  WallTime when;
  bool operator==(const UpstreamFailure&) const = default;
};

// Figures since the start; counted and read by anybody at any time.
class UpstreamStats {
 public:
  std::atomic<uint64_t> requests{0};  // sent, retries and redirects included
  std::atomic<uint64_t> bytes{0};     // of bodies received
  std::atomic<uint64_t> errors{0};    // attempts that failed
  std::atomic<uint64_t> retries{0};   // attempts made because one before had failed
  Histogram first_byte;               // from a request to the head of its answer

  // A request came to its end: with this HTTP status `took` after it was sent, or without an
  // answer.
  void answered(int status, Took took);
  void unanswered() { ++unanswered_; }
  // An attempt failed, and it was upstream's doing.
  void failed(const Error& error);

  // Whether it answered last, or failed to; nullopt: it was not asked yet. That there is no such
  // image is an answer, too.
  std::optional<bool> up() const;
  std::optional<UpstreamFailure> last_failure() const;
  // Answers by HTTP status, those there were.
  std::vector<std::pair<int, uint64_t>> answers() const;
  uint64_t without_answer() const { return unanswered_; }
  // Failed attempts by kind: those there were, and those that upstreams have, though it was none.
  std::vector<std::pair<ErrorKind, uint64_t>> failures() const;

 private:
  enum class Health { kUnknown, kUp, kDown };
  static constexpr int kFirstStatus = 100, kStatuses = 500;
  static constexpr size_t kKinds = static_cast<size_t>(ErrorKind::kIo) + 1;

  std::array<std::atomic<uint64_t>, kStatuses> answers_{};
  std::atomic<uint64_t> unanswered_{0};
  std::array<std::atomic<uint64_t>, kKinds> failures_{};
  std::atomic<Health> health_{Health::kUnknown};
  mutable std::mutex mutex_;  // protects last_failure_
  std::optional<UpstreamFailure> last_failure_;
};

}  // namespace imgcachefs
