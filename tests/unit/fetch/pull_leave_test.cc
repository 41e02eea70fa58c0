// How long leave to pull is believed.
#include "fetch/pull_leave.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using std::chrono::seconds;

TEST(PullLeave, IsBelievedSoLongAndNoLonger) {
  PullLeave leave(seconds(10));
  const auto then = PullLeave::Clock::now();
  EXPECT_FALSE(leave.is_believed("a", then));
  leave.granted("a", then);
  EXPECT_TRUE(leave.is_believed("a", then));
  EXPECT_TRUE(leave.is_believed("a", then + seconds(9)));
  EXPECT_FALSE(leave.is_believed("a", then + seconds(10)));
  EXPECT_FALSE(leave.is_believed("b", then));
  leave.granted("a", then + seconds(9));
  EXPECT_TRUE(leave.is_believed("a", then + seconds(18)));
  leave.refused("a");
  EXPECT_FALSE(leave.is_believed("a", then + seconds(9)));
}

TEST(PullLeave, ForEverOrNotAtAll) {
  const auto then = PullLeave::Clock::now();
  PullLeave for_ever(std::nullopt), never(seconds(0));
  for_ever.granted("a", then);
  never.granted("a", then);
  EXPECT_TRUE(for_ever.is_believed("a", then + std::chrono::hours(100'000)));
  EXPECT_FALSE(never.is_believed("a", then));
}

TEST(PullLeave, StaysBounded) {
  PullLeave leave(seconds(10));
  const auto then = PullLeave::Clock::now();
  for (size_t i = 0; i < PullLeave::kMost; ++i) leave.granted("old" + std::to_string(i), then);
  // What is not believed any more goes first.
  leave.granted("new", then + seconds(10));
  leave.granted("newer", then + seconds(10));
  EXPECT_TRUE(leave.is_believed("new", then + seconds(10)));
  EXPECT_TRUE(leave.is_believed("newer", then + seconds(10)));
  EXPECT_FALSE(leave.is_believed("old1", then));
}

}  // namespace
}  // namespace imgcachefs
