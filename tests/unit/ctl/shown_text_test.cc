#include "ctl/shown_text.h"

#include "gtest/gtest.h"

namespace imgcachefs {
namespace {

TEST(ShownTextTest, LeavesWhatCanBeShown) {
  for (const char* text : {"", "debian-12.qcow2", "Bär ✓ 画像", "a b\\x"})
    EXPECT_EQ(shown(text), text);
}

TEST(ShownTextTest, EscapesWhatWouldBreakTheScreen) {
  EXPECT_EQ(shown("a\033[31mb\nc\td\r\x7f"), "a\\x1b[31mb\\x0ac\\x09d\\x0d\\x7f");
  EXPECT_EQ(shown("\xc2\x9b"
                  "31m"),
            "\\u009b31m");  // CSI in one character
  EXPECT_EQ(shown("a\xe2\x80\xaeqcow2"), "a\\u202eqcow2");
  EXPECT_EQ(shown("a\xffz\xc3"), "a\\xffz\\xc3");
  EXPECT_EQ(shown(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(ShownTextTest, CountsColumnsAsATerminalDoes) {
  EXPECT_EQ(width("abc"), 3u);
  EXPECT_EQ(width("Bär"), 3u);
  EXPECT_EQ(width("画像"), 4u);
  EXPECT_EQ(width("a\xcc\x88"), 1u);  // a combining diaeresis
}

TEST(ShownTextTest, ShortensToColumns) {
  EXPECT_EQ(shortened("abcdef", 6, "…"), "abcdef");
  EXPECT_EQ(shortened("abcdef", 5, "…"), "abcd…");
  EXPECT_EQ(shortened("abcdef", 5, "..."), "ab...");
  EXPECT_EQ(shortened("画像画像", 6, "…"), "画像…");  // half a character cannot be shown
  EXPECT_EQ(shortened("abcdef", 1, "…"), ".");
  EXPECT_EQ(shortened("abcdef", 0, "…"), "");
  EXPECT_EQ(fitted("ab", 4, "…"), "ab  ");
  EXPECT_EQ(fitted("abcdef", 4, "…"), "abc…");
}

}  // namespace
}  // namespace imgcachefs
