#include "fs/history.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

TEST(History, KeepsWhatHappenedInEachInterval) {
  History history;
  history.add({.hits = 3, .misses = 1, .upstream_bytes = 100});
  history.add({.hits = 3, .misses = 5, .upstream_bytes = 250});
  const auto fine = history.fine();
  ASSERT_EQ(fine.size(), 2u);
  EXPECT_EQ(fine[0].hits, 3u);
  EXPECT_EQ(fine[1].hits, 0u);
  EXPECT_EQ(fine[1].misses, 4u);
  EXPECT_EQ(fine[1].upstream_bytes, 150u);
  EXPECT_TRUE(history.coarse().empty());
}

TEST(History, KeepsMinutesForLonger) {
  History history;
  for (uint64_t i = 1; i <= 12; ++i)
    history.add({.hits = 10 * i, .misses = 0, .upstream_bytes = 0});
  const auto coarse = history.coarse();
  ASSERT_EQ(coarse.size(), 2u);
  EXPECT_EQ(coarse[0].hits, 60u);
  EXPECT_EQ(coarse[1].hits, 60u);
}

TEST(History, IsBounded) {
  History history;
  constexpr uint64_t kMany = 3000;
  for (uint64_t i = 1; i <= kMany; ++i)
    history.add({.hits = i * i, .misses = 0, .upstream_bytes = 0});
  ASSERT_EQ(history.fine().size(), History::kFineSamples);
  EXPECT_EQ(history.fine().back().hits, 2 * kMany - 1);
  EXPECT_EQ(history.coarse().size(), History::kCoarseSamples);
}

}  // namespace
}  // namespace imgcachefs
