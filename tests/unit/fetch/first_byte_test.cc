// What the answer to a GET of the first byte tells of the whole.
#include "fetch/first_byte.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

std::optional<SizeByFirstByte> of(int status,
                                  std::vector<std::pair<std::string, std::string>> headers) {
  return SizeByFirstByte::of({.status = status, .url = "http://h/", .headers = std::move(headers)});
}

TEST(FirstByte, TellsTheSize) {
  auto part = of(206, {{"content-range", "bytes 0-0/300"}, {"content-length", "1"}});
  ASSERT_TRUE(part);
  EXPECT_EQ(part->size, 300u);
  EXPECT_EQ(part->ranges, RangeSupport::kYes);
  auto whole = of(200, {{"content-length", "300"}});
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->size, 300u);
  EXPECT_EQ(whole->ranges, RangeSupport::kNo);
  auto one = of(200, {{"content-length", "1"}});
  ASSERT_TRUE(one);
  EXPECT_EQ(one->ranges, RangeSupport::kUnknown);  // it may have been a range
  auto empty = of(416, {{"content-range", "bytes */0"}});
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->size, 0u);
}

TEST(FirstByte, OrDoesNot) {
  EXPECT_FALSE(of(200, {}));
  EXPECT_FALSE(of(206, {}));
  EXPECT_FALSE(of(206, {{"content-range", "bytes 0-0/*"}}));
  EXPECT_FALSE(of(416, {}));
  EXPECT_FALSE(of(416, {{"content-range", "bytes */300"}}));
}

}  // namespace
}  // namespace imgcachefs
