#include "cache/flow.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using Seconds = Flow::Seconds;

constexpr uint64_t kKiB = 1 << 10, kMiB = 1 << 20;

class FlowTest : public ::testing::Test {
 protected:
  // For so long, all connections together bring so many bytes a second.
  void run(Seconds length, double rate) {
    const auto step = 10ms;
    for (const auto end = now_ + std::chrono::duration_cast<Flow::Clock::duration>(length);
         now_ < end; now_ += step)
      flow_.landed(static_cast<uint64_t>(rate * 0.01), now_);
  }
  // As a transfer of a segment goes at `rate`, when a round trip takes `latency`.
  void transfer(double rate, Seconds latency) {
    for (int i = 0; i < 20; ++i)
      flow_.transferred(kMiB, latency, latency + Seconds(static_cast<double>(kMiB) / rate));
  }

  Flow flow_{4};
  Flow::Clock::time_point now_{1000s};
};

TEST_F(FlowTest, ASegmentIsWhatComesInAThirtiethOfASecond) {
  EXPECT_EQ(flow_.segment_bytes(now_), kMiB);  // nothing known yet
  transfer(60 * kMiB, 1ms);
  EXPECT_NEAR(static_cast<double>(flow_.segment_bytes(now_)), 2 * kMiB, 64 * kKiB);
}

TEST_F(FlowTest, ASegmentHasItsLimits) {
  transfer(5000.0 * kMiB, 1ms);
  EXPECT_EQ(flow_.segment_bytes(now_), 4 * kMiB);
  transfer(kMiB, 1ms);
  EXPECT_EQ(flow_.segment_bytes(now_), 256 * kKiB);
}

TEST_F(FlowTest, ASegmentIsNoShorterThanARoundTrip) {
  transfer(10 * kMiB, 200ms);
  EXPECT_NEAR(static_cast<double>(flow_.segment_bytes(now_)), 2 * kMiB, 64 * kKiB);
}

TEST_F(FlowTest, TheNextRequestGoesOutARoundTripAhead) {
  transfer(100 * kMiB, 20ms);
  EXPECT_GE(flow_.lead(now_), 2 * kMiB);
  EXPECT_LE(flow_.lead(now_), 4 * kMiB);
}

TEST_F(FlowTest, FewBytesTellNothingOfTheRate) {
  transfer(100 * kMiB, 1ms);
  const auto before = flow_.segment_bytes(now_);
  flow_.transferred(4 * kKiB, 1ms, 1001us);
  EXPECT_EQ(flow_.segment_bytes(now_), before);
}

TEST_F(FlowTest, ReadersAtRandomPlacesComeFirst) {
  transfer(100 * kMiB, 1ms);
  flow_.disturbed(now_);
  EXPECT_LE(flow_.segment_bytes(now_), 64 * kKiB);
  EXPECT_EQ(flow_.lead(now_), 0u);
  EXPECT_EQ(flow_.streams(now_), 1u);
  EXPECT_GT(flow_.segment_bytes(now_ + 1s), kMiB);
  EXPECT_GT(flow_.lead(now_ + 1s), 0u);
}

TEST_F(FlowTest, BetweenReadersAtRandomPlacesItPauses) {
  flow_.disturbed(now_);
  flow_.background_ended(now_);
  EXPECT_EQ(flow_.streams(now_ + 1ms), 0u);
  EXPECT_EQ(flow_.streams(now_ + 50ms), 1u);
  EXPECT_EQ(flow_.streams(now_ + 1s), 1u);
  flow_.background_ended(now_ + 1s);
  EXPECT_EQ(flow_.streams(now_ + 1001ms), 1u);
}

TEST_F(FlowTest, ALongWayStaysInUseBetweenRandomReads) {
  transfer(100 * kMiB, 20ms);
  flow_.disturbed(now_);
  EXPECT_NEAR(static_cast<double>(flow_.segment_bytes(now_)), 512 * kKiB, 64 * kKiB);
}

TEST_F(FlowTest, OneMoreConnectionIsTriedAndGivenUpWhereItBringsNoMore) {
  EXPECT_EQ(flow_.streams(now_), 1u);
  run(300ms, 100 * kMiB);
  EXPECT_EQ(flow_.streams(now_), 2u);
  run(300ms, 105 * kMiB);
  EXPECT_EQ(flow_.streams(now_), 1u);
  run(4s, 105 * kMiB);
  EXPECT_EQ(flow_.streams(now_), 1u);
}

TEST_F(FlowTest, MoreConnectionsAreKeptWhereEachBringsMore) {
  for (int i = 0; i < 20; ++i) run(100ms, flow_.streams(now_) * 10.0 * kMiB);
  EXPECT_EQ(flow_.streams(now_), 4u);
}

TEST_F(FlowTest, NoMoreIsAskedForThanTheLimitLetsThrough) {
  Flow flow(4, kMiB);
  for (int i = 0; i < 20; ++i) flow.transferred(kMiB, 500ms, 510ms);
  EXPECT_LE(flow.segment_bytes(now_), kMiB / 2);
  EXPECT_LE(flow.lead(now_), kMiB);
}

TEST_F(FlowTest, NeverMoreThanTheMost) {
  for (int i = 0; i < 200; ++i) {
    run(100ms, flow_.streams(now_) * 10.0 * kMiB);
    ASSERT_LE(flow_.streams(now_), 4u);
    ASSERT_GE(flow_.streams(now_), 1u);
  }
}

TEST_F(FlowTest, ItIsTriedAgainLater) {
  run(600ms, 100 * kMiB);
  ASSERT_EQ(flow_.streams(now_), 1u);
  bool tried = false;
  for (int i = 0; i < 100 && !tried; ++i) {
    run(100ms, 100 * kMiB);
    tried = flow_.streams(now_) == 2;
  }
  EXPECT_TRUE(tried);
}

}  // namespace
}  // namespace imgcachefs
