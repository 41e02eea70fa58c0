#include "fetch/retry.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <random>

#include "base/log.h"
#include "fetch/content_range.h"
#include "fetch/http_date.h"

namespace imgcachefs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kFloor{20};
constexpr milliseconds kFirstBound{100};
constexpr milliseconds kLastBound{10'000};
// A server that wants to be left alone for longer is down as far as a reader is concerned.
constexpr seconds kLongestRetryAfter{60};

bool is_transient(int status) {
  return status == 408 || status == 425 || status == 429 || status == 500 || status == 502 ||
         status == 503 || status == 504;
}

ErrorKind kind_of(int status) {
  if (status == 404 || status == 410) return ErrorKind::kNotFound;
  if (status == 401 || status == 403 || status == 407) return ErrorKind::kDenied;
  if (is_transient(status) || status >= 500) return ErrorKind::kUnavailable;
  return ErrorKind::kProtocol;
}

double roll() {
  thread_local std::minstd_rand generator(std::random_device{}());
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

// False when `stop` was requested first.
bool sleep_for(milliseconds time, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

Failure status_failure(const HttpHead& head) {
  Failure failure{.error = {kind_of(head.status),
                            fmt::format("{}: HTTP status {}", redacted_url(head.url), head.status)},
                  .transient = is_transient(head.status),
                  .status = head.status};
  if (auto text = head.header("retry-after"); text && failure.transient)
    failure.retry_after = parse_retry_after(*text, std::chrono::system_clock::now());
  return failure;
}

std::optional<seconds> parse_retry_after(const std::string& text, WallTime now) {
  constexpr uint64_t kYear = 365 * 86400;  // keeps the arithmetic of callers far from overflow
  if (auto number = parse_content_length(text)) return seconds(std::min(*number, kYear));
  auto date = parse_http_date(text);
  if (!date) return std::nullopt;
  return std::max(seconds(0), std::chrono::ceil<seconds>(*date - now));
}

milliseconds retry_delay(unsigned failures, std::optional<seconds> retry_after, double dice) {
  const unsigned doublings = std::min(failures > 0 ? failures - 1 : 0, 16u);
  const milliseconds bound = std::min(kFirstBound * (1 << doublings), kLastBound);
  const milliseconds floor = std::max<milliseconds>(retry_after.value_or(seconds(0)), kFloor);
  const auto span = retry_after ? bound : bound - kFloor;
  return floor + milliseconds(static_cast<int64_t>(dice * static_cast<double>(span.count())));
}

std::optional<Error> RetryLoop::failed(const Failure& failure, bool progress,
                                       UpstreamStats& stats) {
  if (failure.error.kind == ErrorKind::kCancelled || stop_.stop_requested())
    return Error{ErrorKind::kCancelled, what_ + ": cancelled"};
  // "There is no such image" and "I know no ranges" are answers, not failures of upstream's.
  if (failure.error.kind != ErrorKind::kNotFound && failure.error.kind != ErrorKind::kNoRanges)
    stats.failed(failure.error);
  in_a_row_ = progress ? 1 : in_a_row_ + 1;
  if (!failure.transient) return failure.error;
  if (failure.retry_after > kLongestRetryAfter)
    return Error{
        ErrorKind::kUnavailable,
        fmt::format("{} (Retry-After: {} s)", failure.error.message, failure.retry_after->count())};
  if (in_a_row_ > retries_) {
    Error error = failure.error;
    if (in_a_row_ > 1) error.message += fmt::format(" ({} attempts in a row)", in_a_row_);
    return error;
  }
  const milliseconds delay = retry_delay(in_a_row_, failure.retry_after, roll());
  spdlog::debug("{}: attempt failed: {}; again in {} ms", what_, failure.error.message,
                delay.count());
  if (!sleep_for(delay, stop_)) return Error{ErrorKind::kCancelled, what_ + ": cancelled"};
  ++stats.retries;
  return std::nullopt;
}

}  // namespace imgcachefs
