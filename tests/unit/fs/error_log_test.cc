#include "fs/error_log.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;

TEST(ErrnoOf, IsWhatTheContractSays) {
  EXPECT_EQ(errno_of(ErrorKind::kNotFound), ENOENT);
  EXPECT_EQ(errno_of(ErrorKind::kDenied), EACCES);
  EXPECT_EQ(errno_of(ErrorKind::kStale), ESTALE);
  EXPECT_EQ(errno_of(ErrorKind::kTimeout), ETIMEDOUT);
  EXPECT_EQ(errno_of(ErrorKind::kInvalid), EINVAL);
  for (ErrorKind other :
       {ErrorKind::kUnavailable, ErrorKind::kProtocol, ErrorKind::kNoRanges, ErrorKind::kCorrupt,
        ErrorKind::kNoSpace, ErrorKind::kBusy, ErrorKind::kCancelled, ErrorKind::kIo})
    EXPECT_EQ(errno_of(other), EIO) << to_string(other);
}

TEST(ErrorLog, ReturnsTheErrnoItReports) {
  ErrorLog log("http://h/");
  EXPECT_EQ(log.report("read", "image", Error{ErrorKind::kTimeout, "silent"}), ETIMEDOUT);
  EXPECT_EQ(log.report("lookup", "image", Error{ErrorKind::kNotFound, "404"}), ENOENT);
  EXPECT_EQ(log.report("lookup", "other", Error{ErrorKind::kNotFound, "404"}), ENOENT);
  auto counts = log.counts();
  ASSERT_EQ(counts.size(), 2u);
  EXPECT_EQ(counts[0].operation, "lookup");
  EXPECT_EQ(counts[0].errno_name, "ENOENT");
  EXPECT_EQ(counts[0].count, 2u);
}

TEST(RepeatFilter, LetsALineThroughOnceAPeriodAndCountsTheRest) {
  RepeatFilter filter(10s);
  const RepeatFilter::Clock::time_point start{};
  EXPECT_TRUE(filter.ask("a", start).pass);
  EXPECT_FALSE(filter.ask("a", start + 1s).pass);
  EXPECT_TRUE(filter.ask("b", start + 1s).pass);
  EXPECT_FALSE(filter.ask("a", start + 9s).pass);
  auto again = filter.ask("a", start + 10s);
  EXPECT_TRUE(again.pass);
  EXPECT_EQ(again.held_back, 2u);
  EXPECT_EQ(filter.ask("a", start + 21s).held_back, 0u);
}

TEST(RepeatFilter, RemembersABoundedNumberOfLines) {
  RepeatFilter filter(10s);
  const RepeatFilter::Clock::time_point now{};
  for (int i = 0; i < 5000; ++i) EXPECT_TRUE(filter.ask(std::to_string(i), now).pass);
}

}  // namespace
}  // namespace imgcachefs
