#include "base/units.h"

#include <limits>

#include "gtest/gtest.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;

TEST(Units, SizesAre1024Based) {
  EXPECT_EQ(parse_size("0").value(), 0u);
  EXPECT_EQ(parse_size("1234").value(), 1234u);
  EXPECT_EQ(parse_size("1K").value(), 1024u);
  EXPECT_EQ(parse_size("10M").value(), 10u << 20);
  EXPECT_EQ(parse_size("10G").value(), 10ULL << 30);
  EXPECT_EQ(parse_size("2t").value(), 2ULL << 40);
  EXPECT_EQ(parse_size("18446744073709551615").value(), std::numeric_limits<uint64_t>::max());
}

TEST(Units, WhatIsNoSizeIsRefused) {
  for (const char* text : {"", "K", "-1", "+1", "1X", "1KB", "1 K", " 1", "1.5G", "0x10", "1\v",
                           "18446744073709551616", "16777216T", "99999999999999999999K"}) {
    auto size = parse_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_EQ(size.error().kind, ErrorKind::kInvalid);
  }
}

TEST(Units, TimesAreSecondsUnlessTheySay) {
  EXPECT_EQ(parse_duration("0").value(), 0s);
  EXPECT_EQ(parse_duration("90").value(), 90s);
  EXPECT_EQ(parse_duration("90s").value(), 90s);
  EXPECT_EQ(parse_duration("5m").value(), 5min);
  EXPECT_EQ(parse_duration("2h").value(), 2h);
  EXPECT_EQ(parse_duration("1d").value(), 24h);
  // What is added to the time of any clock stays one.
  const auto longest = parse_duration("36525d").value();
  EXPECT_GT(std::chrono::steady_clock::now() + longest, std::chrono::steady_clock::now());
  EXPECT_GT(std::chrono::system_clock::now() + longest, std::chrono::system_clock::now());
  EXPECT_FALSE(parse_duration("36526d"));
}

TEST(Units, WhatIsNoTimeIsRefused) {
  for (const char* text :
       {"", "s", "-1", "1.5h", "1ms", "1D", "5 m", "99999999999999999999", "18446744073709551615d"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Units, HumanSizes) {
  EXPECT_EQ(human_size(0), "0 B");
  EXPECT_EQ(human_size(1023), "1023 B");
  EXPECT_EQ(human_size(1024), "1.0 KiB");
  EXPECT_EQ(human_size(1536), "1.5 KiB");
  EXPECT_EQ(human_size(3ULL << 30), "3.0 GiB");
  EXPECT_EQ(human_size((1 << 20) - 1), "1.0 MiB");  // not "1024.0 KiB"
  EXPECT_EQ(human_size(std::numeric_limits<uint64_t>::max()), "16.0 EiB");
}

TEST(Units, TimeStampsAreUtc) {
  EXPECT_EQ(rfc3339(from_unix(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(from_unix(1795149842.78773)), "2026-11-20T04:44:02Z");
  EXPECT_EQ(rfc3339(from_unix(-0.5)), "1969-12-31T23:59:59Z");  // the second it lies in
}

TEST(Units, TimeStampsAreRead) {
  for (const char* text :
       {"2026-11-20T04:41:20Z", "2026-11-20t04:41:20z", "2026-11-20 04:41:20.000000Z",
        "2026-11-20T06:41:20+02:00", "2026-11-19T23:11:20-05:30"}) {
    auto time = parse_rfc3339(text);
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(rfc3339(*time), "2026-11-20T04:41:20Z") << text;
  }
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.25Z"), from_unix(0.25));
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00.1234567891234567890123456789Z"),
            WallTime(std::chrono::nanoseconds(123'456'789)));
  EXPECT_EQ(parse_rfc3339("1969-12-31T23:59:59.5Z"), from_unix(-0.5));
  EXPECT_EQ(parse_rfc3339("2016-12-31T23:59:60Z"), parse_rfc3339("2017-01-01T00:00:00Z"));
  EXPECT_TRUE(parse_rfc3339("2024-02-29T00:00:00Z"));
}

TEST(Units, WhatIsNoTimeStampIsRefused) {
  for (const char* text : {"",
                           "Z",
                           "2026-11-20",
                           "2026-11-20T04:41:20",
                           "2026-11-20T04:41Z",
                           "2026-11-20T04:41:20.Z",
                           "2026-11-20T04:41:20ZZ",
                           " 2026-11-20T04:41:20Z",
                           "2026-13-20T04:41:20Z",
                           "2025-02-29T04:41:20Z",
                           "2026-11-20T24:00:00Z",
                           "2026-11-20T04:60:00Z",
                           "2026-11-20T04:41:61Z",
                           "2026-11-20T04:41:20+2:00",
                           "2026-11-20T04:41:20+24:00",
                           "2026-11-20T04:41:20+02",
                           "-026-11-20T04:41:20Z",
                           "+2026-11-20T04:41:20Z",
                           "0001-01-01T00:00:00Z",
                           "9999-12-31T23:59:59Z",
                           "2026/11/20T04:41:20Z"})
    EXPECT_FALSE(parse_rfc3339(text)) << text;
}

TEST(Units, UnixSecondsGoThereAndBack) {
  const WallTime time = from_unix(1795149842.5);
  EXPECT_EQ(to_unix(time), 1795149842.5);
  EXPECT_EQ(from_unix(to_unix(time)), time);
  const auto now = std::chrono::system_clock::now();
  EXPECT_LT(std::chrono::abs(from_unix(to_unix(now)) - now), 1us);
}

TEST(Units, TimesThatNoClockHoldsAreCutToSize) {
  const double huge = std::numeric_limits<double>::infinity();
  EXPECT_GT(from_unix(huge), from_unix(0));
  EXPECT_LT(from_unix(-huge), from_unix(0));
  EXPECT_EQ(from_unix(std::numeric_limits<double>::quiet_NaN()), from_unix(0));
  EXPECT_EQ(rfc3339(from_unix(1e300)).substr(0, 4), "2255");
}

}  // namespace
}  // namespace imgcachefs
