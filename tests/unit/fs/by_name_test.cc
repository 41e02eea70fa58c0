// File names in by-name/ and the names they stand for.
#include <gtest/gtest.h>

#include <random>

#include "fs/by_name.h"

namespace imgcachefs {
namespace {

using namespace std::string_literals;

TEST(ByName, WhatIsAFileNameStaysItself) {
  for (const char* name :
       {"cirros", "Ubuntu 24.04 LTS (x86_64)", "ä€😀", "a:b\\c*?", ".hidden", "...", "-rf"}) {
    EXPECT_EQ(file_name_of(name), name);
    EXPECT_EQ(image_name_of(name), name);
  }
}

TEST(ByName, WhatCannotBeAFileNameIsEscaped) {
  EXPECT_EQ(file_name_of("a/b"), "a%2Fb");
  EXPECT_EQ(file_name_of("100%"), "100%25");
  EXPECT_EQ(file_name_of("a%2Fb"), "a%252Fb");
  EXPECT_EQ(file_name_of("."), "%2E");
  EXPECT_EQ(file_name_of(".."), "%2E.");
  EXPECT_EQ(file_name_of("a\nb"), "a%0Ab");
  EXPECT_EQ(file_name_of("a\0b"s), "a%00b");
  EXPECT_EQ(file_name_of("\xff"), "%FF");
}

TEST(ByName, WhatHasNoFileName) {
  EXPECT_EQ(file_name_of(""), std::nullopt);
  EXPECT_EQ(file_name_of(std::string(256, 'x')), std::nullopt);
  EXPECT_EQ(file_name_of(std::string(86, '/')), std::nullopt);
  EXPECT_TRUE(file_name_of(std::string(85, '/')));
}

TEST(ByName, OneFileNameForEachName) {
  EXPECT_EQ(image_name_of("a%2Fb"), "a/b");
  for (const char* other : {"a%2fb", "%61", "a%", "a%2", "a%zz", "a/b", "", ".", ".."})
    EXPECT_EQ(image_name_of(other), std::nullopt) << other;
}

TEST(ByName, EveryNameComesBack) {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string name(1 + random() % 12, ' ');
    for (char& c : name) c = random() % 3 ? "./%aB2F\n"[random() % 8] : static_cast<char>(random());
    auto file_name = file_name_of(name);
    ASSERT_TRUE(file_name);
    ASSERT_EQ(file_name->find('/'), std::string::npos);
    ASSERT_NE(*file_name, ".");
    ASSERT_NE(*file_name, "..");
    ASSERT_EQ(image_name_of(*file_name), name);
  }
}

}  // namespace
}  // namespace imgcachefs
