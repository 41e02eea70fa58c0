#include "fs/error_log.h"

#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace imgcachefs {

int errno_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid:
      return EINVAL;
    case ErrorKind::kNotFound:
      return ENOENT;
    case ErrorKind::kDenied:
      return EACCES;
    case ErrorKind::kStale:
      return ESTALE;
    case ErrorKind::kTimeout:
      return ETIMEDOUT;
    case ErrorKind::kUnavailable:
    case ErrorKind::kProtocol:
    case ErrorKind::kNoRanges:
    case ErrorKind::kCorrupt:
    case ErrorKind::kNoSpace:
    case ErrorKind::kBusy:
    case ErrorKind::kCancelled:
    case ErrorKind::kIo:
      return EIO;
  }
  return EIO;
}

RepeatFilter::Verdict RepeatFilter::ask(const std::string& line, Clock::time_point now) {
  constexpr size_t kMost = 1024;  // lines remembered: a bound, not a policy
  std::lock_guard lock(mutex_);
  if (seen_.size() >= kMost)
    std::erase_if(seen_, [&](const auto& entry) { return now - entry.second.passed >= period_; });
  if (seen_.size() >= kMost) seen_.clear();
  auto [entry, is_new] = seen_.try_emplace(line, Seen{now, 0});
  if (is_new) return {true, 0};
  Seen& seen = entry->second;
  if (now - seen.passed < period_) {
    ++seen.held_back;
    return {false, seen.held_back};
  }
  seen.passed = now;
  return {true, std::exchange(seen.held_back, 0)};
}

int ErrorLog::report(std::string_view operation, std::string_view image_id, const Error& error) {
  const int code = errno_of(error.kind);
  {
    std::lock_guard lock(mutex_);
    ++counts_[{std::string(operation), code}];
  }
  const std::string line = fmt::format("{} {}: {} [{}], upstream {}", operation, image_id,
                                       error.message, ::strerrorname_np(code), upstream_);
  // A stale node at open is looked up again by the kernel before a user sees it.
  if (code == ESTALE && operation == "open") {
    spdlog::debug(line);
    return code;
  }
  // Every typing mistake is a look-up of something that is not there: said, but no warning.
  const auto level =
      code == ENOENT && operation == "lookup" ? spdlog::level::info : spdlog::level::warn;
  if (auto verdict = repeats_.ask(line); verdict.pass) {
    if (verdict.held_back)
      spdlog::log(level, "{} (and {} times more since it was last said)", line, verdict.held_back);
    else
      spdlog::log(level, "{}", line);
  }
  return code;
}

std::vector<ErrorCount> ErrorLog::counts() const {
  std::lock_guard lock(mutex_);
  std::vector<ErrorCount> counts;
  for (const auto& [what, count] : counts_)
    counts.push_back({what.first, ::strerrorname_np(what.second), count});
  return counts;
}

}  // namespace imgcachefs
