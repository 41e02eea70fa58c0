#include "ctl/human_time.h"

#include "gtest/gtest.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;

TEST(HumanTimeTest, SaysHowLongAgoItWas) {
  const WallTime now = from_unix(1795149842);
  const auto ago = [&](std::chrono::seconds span) { return age_text(now - span, now); };
  EXPECT_EQ(ago(0s), "just now");
  EXPECT_EQ(ago(2s), "2 seconds ago");
  EXPECT_EQ(ago(59s), "59 seconds ago");
  EXPECT_EQ(ago(60s), "1 minute ago");
  EXPECT_EQ(ago(59min + 59s), "59 minutes ago");
  EXPECT_EQ(ago(1h), "1 hour ago");
  EXPECT_EQ(ago(47h), "47 hours ago");
  EXPECT_EQ(ago(48h), "2 days ago");
  EXPECT_EQ(ago(59 * 24h), "59 days ago");
  EXPECT_EQ(ago(60 * 24h), "2 months ago");
  EXPECT_EQ(ago(729 * 24h), "24 months ago");
  EXPECT_EQ(ago(730 * 24h), "2 years ago");
  EXPECT_EQ(ago(-5min), "in 5 minutes");
  EXPECT_EQ(ago(-2s), "in 2 seconds");
}

TEST(HumanTimeTest, SaysHowLongItTakes) {
  EXPECT_EQ(duration_text(0s), "0:00");
  EXPECT_EQ(duration_text(75s), "1:15");
  EXPECT_EQ(duration_text(3h + 2min + 1s), "3:02:01");
  EXPECT_EQ(duration_text(51h), "2d 03h");
}

}  // namespace
}  // namespace imgcachefs
