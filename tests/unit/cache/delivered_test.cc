#include "cache/delivered.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

TEST(DeliveredTest, OnlyTheReadThatLeavesNothingCompletes) {
  Delivered delivered;
  delivered.prepare(4, 4096);
  EXPECT_FALSE(delivered.completes({0, 3}));
  EXPECT_TRUE(delivered.completes({0, 4}));
  delivered.mark({0, 2});
  EXPECT_FALSE(delivered.completes({0, 3}));
  EXPECT_TRUE(delivered.completes({2, 4}));
  EXPECT_TRUE(delivered.completes({1, 4}));  // part of it was handed out before
  delivered.mark({3, 4});                    // the end first, as a guest reads its backup GPT
  EXPECT_FALSE(delivered.completes({0, 2}));
  EXPECT_FALSE(delivered.completes({3, 4}));
  EXPECT_TRUE(delivered.completes({2, 3}));
}

TEST(DeliveredTest, ReadsOfTheSameChunksCountOnce) {
  Delivered delivered;
  delivered.prepare(3, 4096);
  for (int i = 0; i < 3; ++i) delivered.mark({0, 1});
  EXPECT_FALSE(delivered.completes({1, 2}));
  EXPECT_TRUE(delivered.completes({1, 3}));
}

TEST(DeliveredTest, AnImageOfOneChunkOrNoneCompletesAtOnce) {
  Delivered one, none;
  one.prepare(1, 4096);
  none.prepare(0, 4096);
  EXPECT_TRUE(one.completes({0, 1}));
  EXPECT_TRUE(none.completes({}));
}

TEST(DeliveredTest, OutlivesATimeOfFilling) {
  Delivered delivered;
  delivered.prepare(2, 4096);
  delivered.mark({0, 1});
  delivered.prepare(2, 4096);  // the next fill of the same version
  EXPECT_TRUE(delivered.completes({1, 2}));
}

TEST(DeliveredTest, EverythingHandedOutStaysComplete) {
  Delivered delivered;
  delivered.prepare(2, 4096);
  delivered.mark({0, 2});
  EXPECT_TRUE(delivered.completes({0, 1}));
}

}  // namespace
}  // namespace imgcachefs
