#include "fetch/retry.h"

#include <gtest/gtest.h>

#include <thread>

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;

HttpHead head_of(int status, std::string retry_after = "") {
  HttpHead head{.status = status, .url = "http://u:secret@h/x?sig=1", .headers = {}};
  if (!retry_after.empty()) head.headers.emplace_back("retry-after", retry_after);
  return head;
}

TEST(StatusFailure, WhatIsTransient) {
  for (int status : {408, 425, 429, 500, 502, 503, 504})
    EXPECT_TRUE(status_failure(head_of(status)).transient) << status;
  for (int status : {204, 304, 400, 401, 403, 404, 410, 414, 416, 501, 505})
    EXPECT_FALSE(status_failure(head_of(status)).transient) << status;
}

TEST(StatusFailure, Kinds) {
  EXPECT_EQ(status_failure(head_of(404)).error.kind, ErrorKind::kNotFound);
  EXPECT_EQ(status_failure(head_of(410)).error.kind, ErrorKind::kNotFound);
  EXPECT_EQ(status_failure(head_of(401)).error.kind, ErrorKind::kDenied);
  EXPECT_EQ(status_failure(head_of(403)).error.kind, ErrorKind::kDenied);
  for (int status : {408, 425, 429, 500, 501, 502, 503, 504})
    EXPECT_EQ(status_failure(head_of(status)).error.kind, ErrorKind::kUnavailable) << status;
  EXPECT_EQ(status_failure(head_of(400)).error.kind, ErrorKind::kProtocol);
  EXPECT_EQ(status_failure(head_of(204)).error.kind, ErrorKind::kProtocol);
}

TEST(StatusFailure, ItsMessageHoldsNoSecret) {
  const std::string message = status_failure(head_of(503)).error.message;
  EXPECT_EQ(message.find("secret"), std::string::npos) << message;
  EXPECT_EQ(message.find("sig=1"), std::string::npos) << message;
}

TEST(RetryAfter, SecondsAndDate) {
  const WallTime now = from_unix(1700000000);  // Tue, 14 Nov 2023 22:13:20 GMT
  EXPECT_EQ(parse_retry_after("0", now), 0s);
  EXPECT_EQ(parse_retry_after("120", now), 120s);
  EXPECT_EQ(parse_retry_after("Tue, 14 Nov 2023 22:13:50 GMT", now), 30s);
  EXPECT_EQ(parse_retry_after("Tue, 14 Nov 2023 22:00:00 GMT", now), 0s);
  EXPECT_EQ(parse_retry_after("soon", now), std::nullopt);
  EXPECT_EQ(parse_retry_after("-1", now), std::nullopt);
  EXPECT_GT(parse_retry_after("99999999999999999", now), 60s);
}

TEST(RetryDelay, DoublesUpToTenSeconds) {
  EXPECT_GT(retry_delay(1, std::nullopt, 0), 0ms);
  EXPECT_LE(retry_delay(1, std::nullopt, 0.999), 100ms);
  EXPECT_GT(retry_delay(2, std::nullopt, 0.999), 150ms);
  EXPECT_LE(retry_delay(2, std::nullopt, 0.999), 200ms);
  EXPECT_GT(retry_delay(7, std::nullopt, 0.999), 6s);
  for (unsigned failures : {8u, 20u, 4000000000u}) {
    EXPECT_LE(retry_delay(failures, std::nullopt, 0.999), 10s);
    EXPECT_GT(retry_delay(failures, std::nullopt, 0.999), 9s);
  }
}

TEST(RetryDelay, RetryAfterIsAFloor) {
  EXPECT_GE(retry_delay(1, 5s, 0), 5s);
  EXPECT_GT(retry_delay(1, 5s, 0.9), 5s);
  EXPECT_LE(retry_delay(1, 5s, 0.9), 5100ms);
}

TEST(RetryLoop, GivesUpAfterSoManyInARow) {
  UpstreamStats stats;
  RetryLoop loop(2, "x", {});
  const Failure failure = transient_failure(ErrorKind::kTimeout, "silent");
  EXPECT_FALSE(loop.failed(failure, false, stats));
  EXPECT_FALSE(loop.failed(failure, false, stats));
  auto error = loop.failed(failure, false, stats);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind, ErrorKind::kTimeout);
  EXPECT_NE(error->message.find("3 attempts"), std::string::npos) << error->message;
  EXPECT_EQ(stats.errors, 3u);
}

TEST(RetryLoop, ProgressStartsTheCountAnew) {
  UpstreamStats stats;
  RetryLoop loop(1, "x", {});
  const Failure failure = transient_failure(ErrorKind::kUnavailable, "cut");
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(loop.failed(failure, true, stats));
  EXPECT_TRUE(loop.failed(failure, false, stats));
}

TEST(RetryLoop, WhatIsFinalEndsAtOnce) {
  UpstreamStats stats;
  RetryLoop loop(5, "x", {});
  auto error = loop.failed(final_failure(ErrorKind::kNotFound, "404"), false, stats);
  EXPECT_EQ(error.value().kind, ErrorKind::kNotFound);
  EXPECT_EQ(stats.errors, 0u);  // an answer
}

TEST(RetryLoop, ALongRetryAfterEndsAtOnce) {
  UpstreamStats stats;
  RetryLoop loop(5, "x", {});
  auto error = loop.failed(status_failure(head_of(503, "3600")), false, stats);
  EXPECT_EQ(error.value().kind, ErrorKind::kUnavailable);
  EXPECT_NE(error->message.find("3600"), std::string::npos) << error->message;
}

TEST(RetryLoop, ItsSleepEndsWhenAskedTo) {
  UpstreamStats stats;
  std::stop_source stop;
  RetryLoop loop(5, "x", stop.get_token());
  std::jthread stopper([&] {
    std::this_thread::sleep_for(50ms);
    stop.request_stop();
  });
  auto error = loop.failed(status_failure(head_of(503, "60")), false, stats);
  EXPECT_EQ(error.value().kind, ErrorKind::kCancelled);
}

}  // namespace
}  // namespace imgcachefs
