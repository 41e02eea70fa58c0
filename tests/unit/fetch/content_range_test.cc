#include "fetch/content_range.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

TEST(ContentRange, Forms) {
  EXPECT_EQ(parse_content_range("bytes 0-99/1000"), (ContentRange{ByteRange{0, 100}, 1000}));
  EXPECT_EQ(parse_content_range("bytes 999-999/1000"), (ContentRange{ByteRange{999, 1000}, 1000}));
  EXPECT_EQ(parse_content_range("bytes 5-6/*"), (ContentRange{ByteRange{5, 7}, std::nullopt}));
  EXPECT_EQ(parse_content_range("bytes */1000"), (ContentRange{std::nullopt, 1000}));
  EXPECT_EQ(parse_content_range("bytes 0-4294967296/9999999999"),
            (ContentRange{ByteRange{0, 4294967297}, 9999999999}));
}

TEST(ContentRange, Nonsense) {
  for (const char* text :
       {"", "bytes", "bytes ", "bytes 0-99", "0-99/1000", "items 0-9/10", "bytes 9-0/10",
        "bytes 0-10/10", "bytes -1/10", "bytes 0-/10", "bytes */*", "bytes 0-9/-1", "bytes 0-9/ 10",
        "bytes a-b/c", "bytes 0-18446744073709551615/*", "bytes 0-9/99999999999999999999",
        "bytes 0-9/10, bytes 0-9/10"})
    EXPECT_EQ(parse_content_range(text), std::nullopt) << text;
}

TEST(ContentLength, IsANumberAndNothingElse) {
  EXPECT_EQ(parse_content_length("0"), 0u);
  EXPECT_EQ(parse_content_length("18446744073709551615"), UINT64_MAX);
  for (const char* text : {"", " 1", "1 ", "-1", "+1", "0x1", "1, 1", "18446744073709551616"})
    EXPECT_EQ(parse_content_length(text), std::nullopt) << text;
}

}  // namespace
}  // namespace imgcachefs
