#include "base/histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace imgcachefs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

constexpr auto kBounds = std::to_array<Took>({milliseconds(1), milliseconds(10), seconds(1)});

TEST(Histogram, CountsEachObservationInTheBucketThatHoldsIt) {
  Histogram histogram(kBounds);
  for (const Took took : {Took(0), Took(milliseconds(1)), Took(milliseconds(1)) + Took(1),
                          Took(milliseconds(500)), Took(seconds(1)), Took(seconds(100))})
    histogram.observe(took);
  const HistogramFigures figures = histogram.figures();
  EXPECT_THAT(figures.counts, ElementsAre(2, 1, 2, 1));
  EXPECT_EQ(figures.sum, milliseconds(1 + 1 + 500 + 1000 + 100'000) + Took(1));
}

TEST(Histogram, TellsWhichBoundAShareDoesNotExceed) {
  Histogram histogram(kBounds);
  EXPECT_EQ(histogram.figures().quantile_bound(0.5), std::nullopt);
  for (int i = 0; i < 50; ++i) histogram.observe(milliseconds(1));
  for (int i = 0; i < 49; ++i) histogram.observe(milliseconds(5));
  histogram.observe(seconds(5));
  const HistogramFigures figures = histogram.figures();
  EXPECT_EQ(figures.quantile_bound(0.5), milliseconds(1));
  EXPECT_EQ(figures.quantile_bound(0.51), milliseconds(10));
  EXPECT_EQ(figures.quantile_bound(1), Took::max());
}

TEST(Histogram, LosesNothingOfManyThreads) {
  constexpr uint64_t kEach = 20'000;
  Histogram histogram;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i)
      threads.emplace_back([&] {
        for (uint64_t n = 0; n < kEach; ++n) histogram.observe(milliseconds(n % 3));
      });
  }
  uint64_t all = 0;
  for (const uint64_t count : histogram.figures().counts) all += count;
  EXPECT_EQ(all, 4 * kEach);
}

}  // namespace
}  // namespace imgcachefs
