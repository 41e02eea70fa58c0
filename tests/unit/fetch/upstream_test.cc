#include "fetch/upstream.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

TEST(Validator, DiffersOnlyInWhatBothKnow) {
  const Validator full{"\"a\"", "monday"};
  EXPECT_TRUE(full.same_version(full));
  EXPECT_TRUE(full.same_version({}));
  EXPECT_TRUE(Validator{}.same_version(full));
  EXPECT_TRUE(full.same_version({"\"a\"", ""}));
  EXPECT_TRUE(full.same_version({"", "monday"}));
  EXPECT_FALSE(full.same_version({"\"b\"", "monday"}));
  EXPECT_FALSE(full.same_version({"\"a\"", "tuesday"}));
  EXPECT_FALSE(full.same_version({"", "tuesday"}));
}

TEST(Validator, WeakAndStrongOfTheSameTagAreTheSame) {
  EXPECT_TRUE((Validator{"W/\"a\"", ""}).same_version({"\"a\"", ""}));
  EXPECT_FALSE((Validator{"W/\"a\"", ""}).same_version({"W/\"b\"", ""}));
}

}  // namespace
}  // namespace imgcachefs
