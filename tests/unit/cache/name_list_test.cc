#include "cache/name_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

std::vector<std::string> all(const NameList& list) {
  std::vector<std::string> names;
  for (const std::string_view name : list) names.emplace_back(name);
  return names;
}

TEST(NameList, KeepsThemAsTheyCameUntilTheyAreSorted) {
  NameList list;
  for (const char* name : {"b", "", "aa", "b", "a"}) list.add(name);
  EXPECT_THAT(all(list), testing::ElementsAre("b", "", "aa", "b", "a"));
  EXPECT_EQ(list.bytes(), 5u);
  list.sort();
  EXPECT_THAT(all(list), testing::ElementsAre("", "a", "aa", "b"));
  EXPECT_EQ(list.size(), 4u);
  EXPECT_EQ(list[2], "aa");
}

TEST(NameList, MayBeEmpty) {
  NameList list;
  list.sort();
  EXPECT_THAT(all(list), testing::IsEmpty());
}

}  // namespace
}  // namespace imgcachefs
