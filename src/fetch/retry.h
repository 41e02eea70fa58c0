// What of upstream's failures is worth another attempt, and when: the one place that decides it.
//
// Transient: connection problems, DNS (libcurl does not tell "no such name" from "no answer now",
// and a resolver that hiccups is common), timeouts, cut bodies, and the statuses 408 425 429 500
// 502 503 504. Final: everything upstream means (404, 403, a changed image), answers against the
// rules, and certificates that do not verify: these do not heal within seconds, and hammering them
// hides why.
//
// Progress between two failures starts the count anew, so a long transfer over a bad line ends as
// long as it moves.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "fetch/http_head.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// One attempt that failed.
struct Failure {
  Error error;
  bool transient = false;
  std::optional<std::chrono::seconds> retry_after = {};
  int status = 0;  // the HTTP status it is about, if it is about one
};

inline Failure final_failure(ErrorKind kind, std::string message) {
  return {.error = {kind, std::move(message)}};
}
inline Failure transient_failure(ErrorKind kind, std::string message) {
  return {.error = {kind, std::move(message)}, .transient = true};
}

// The failure that a status other than the expected ones is.
Failure status_failure(const HttpHead& head);

// "120" or an HTTP-date; nullopt when it is neither. A date that is past is 0.
std::optional<std::chrono::seconds> parse_retry_after(const std::string& text, WallTime now);

// How long to wait after the `failures`-th failure in a row (1, 2, ...): full jitter under a bound
// that doubles from 100 ms to 10 s, above the floor of what the server asked for. `dice` is in
// [0, 1).
std::chrono::milliseconds retry_delay(unsigned failures,
                                      std::optional<std::chrono::seconds> retry_after, double dice);

// The attempts of one call. Not thread-safe.
class RetryLoop {
 public:
  // `what`: named in errors and in the log, e.g. a redacted URL.
  RetryLoop(unsigned retries, std::string what, std::stop_token stop)
      : retries_(retries), what_(std::move(what)), stop_(std::move(stop)) {}

  // Records a failed attempt. nullopt: try again, the wait is over; else the error to return.
  std::optional<Error> failed(const Failure& failure, bool progress, UpstreamStats& stats);

 private:
  unsigned retries_;
  std::string what_;
  std::stop_token stop_;
  unsigned in_a_row_ = 0;
};

}  // namespace imgcachefs
