#include "fetch/image_id.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

TEST(ImageId, TakesWhatCanBeAFileNameAndAPartOfAUrl) {
  for (const char* text :
       {"a", "debian-12.qcow2", "a b+c#%.img", "b9a1d3c4-0000-4000-8000-000000000001",
        "sha256:0123", "ä€😀.img", "...", ".hidden", "-o", "SHA256SUMS", "queued", "cache"})
    EXPECT_EQ(ImageId::parse(text).value().str(), text);
  EXPECT_TRUE(ImageId::parse(std::string(255, 'x')));
}

TEST(ImageId, RefusesWhatCannot) {
  for (const char* text : {"", ".", "..", "a/b", "/", "a\nb", "a\tb", "\x7f", "a\x1b[2J"})
    EXPECT_EQ(ImageId::parse(text).error().kind, ErrorKind::kInvalid) << text;
  EXPECT_FALSE(ImageId::parse(std::string(256, 'x')));
  EXPECT_FALSE(ImageId::parse(std::string_view("a\0b", 3)));
}

TEST(ImageId, RefusesTextThatIsNotUtf8) {
  for (const char* text : {"\xff", "a\x80", "\xc0\xaf", "\xc3", "\xe0\x80\xaf", "\xed\xa0\x80",
                           "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xe2\x82"})
    EXPECT_FALSE(ImageId::parse(text));
}

TEST(ImageId, RefusesTheCacheDirectorysOwnNames) {
  for (const char* text : {"incomplete", "invalid", "queue", "maps", "cache.db", "cache.db-journal",
                           "image_cache_db_init", "checkme", ".imgcachefs"})
    EXPECT_FALSE(ImageId::parse(text)) << text;
}

TEST(ImageId, AnErrorCanBeLogged) {
  // What is refused for its control characters is not repeated in the message.
  EXPECT_EQ(ImageId::parse("a\nb").error().message.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace imgcachefs
