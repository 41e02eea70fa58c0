#include "fetch/recent_map.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

TEST(RecentMapTest, WhatWasNotUsedForLongestMakesRoom) {
  RecentMap<int> map(2);
  map.put("a", 1);
  map.put("b", 2);
  ASSERT_NE(map.find("a"), nullptr);
  map.put("c", 3);
  EXPECT_EQ(map.find("b"), nullptr);
  EXPECT_EQ(*map.find("a"), 1);
  map.put("c", 4);  // known: no room is made, and it is used
  map.put("d", 5);
  EXPECT_EQ(map.find("a"), nullptr);
  EXPECT_EQ(*map.find("c"), 4);
  EXPECT_EQ(map.size(), 2u);
}

TEST(RecentMapTest, ErasesWhatIsThere) {
  RecentMap<int> map(2);
  map.put("a", 1);
  map.erase("a");
  map.erase("b");
  EXPECT_EQ(map.find("a"), nullptr);
  EXPECT_EQ(map.size(), 0u);
}

}  // namespace
}  // namespace imgcachefs
