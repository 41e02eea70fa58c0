#include "fetch/upstream_stats.h"

#include <algorithm>

namespace imgcachefs {

void UpstreamStats::answered(int status, Took took) {
  first_byte.observe(took);
  // What is no status of HTTP's counts as an answer that never came.
  if (status < kFirstStatus || status >= kFirstStatus + kStatuses) return unanswered();
  ++answers_[static_cast<size_t>(status - kFirstStatus)];
  if (status < 500) health_ = Health::kUp;
}

void UpstreamStats::failed(const Error& error) {
  ++errors;
  ++failures_[static_cast<size_t>(error.kind)];
  if (error.kind == ErrorKind::kTimeout || error.kind == ErrorKind::kUnavailable)
    health_ = Health::kDown;
  std::lock_guard lock(mutex_);
  last_failure_ = {error.message, std::chrono::system_clock::now()};
}

std::optional<bool> UpstreamStats::up() const {
  const Health health = health_;
  if (health == Health::kUnknown) return std::nullopt;
  return health == Health::kUp;
}

std::optional<UpstreamFailure> UpstreamStats::last_failure() const {
  std::lock_guard lock(mutex_);
  return last_failure_;
}

std::vector<std::pair<int, uint64_t>> UpstreamStats::answers() const {
  std::vector<std::pair<int, uint64_t>> found;
  for (int i = 0; i < kStatuses; ++i)
    if (const uint64_t count = answers_[static_cast<size_t>(i)])
      found.emplace_back(kFirstStatus + i, count);
  return found;
}

std::vector<std::pair<ErrorKind, uint64_t>> UpstreamStats::failures() const {
  // A counter that begins at 1 hides the first failure from who looks for an increase.
  constexpr std::array kUsual = {ErrorKind::kDenied, ErrorKind::kTimeout, ErrorKind::kUnavailable,
                                 ErrorKind::kProtocol};
  std::vector<std::pair<ErrorKind, uint64_t>> found;
  for (size_t i = 0; i < kKinds; ++i) {
    const auto kind = static_cast<ErrorKind>(i);
    const uint64_t count = failures_[i];
    if (count > 0 || std::find(kUsual.begin(), kUsual.end(), kind) != kUsual.end())
      found.emplace_back(kind, count);
  }
  return found;
}

}  // namespace imgcachefs
