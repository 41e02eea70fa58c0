#include "base/log.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

TEST(RedactedUrl, KeepsWhatIsNoSecret) {
  for (const char* url : {"http://host/dir/image", "https://host:8443/a@b/c", "http://host",
                          "glance+http://host:9292", "glance:", "/no/url", ""})
    EXPECT_EQ(redacted_url(url), url);
}

TEST(RedactedUrl, DropsUserAndPassword) {
  EXPECT_EQ(redacted_url("http://user:pass@host/dir/"), "http://host/dir/");
  EXPECT_EQ(redacted_url("http://user@host"), "http://host");
  EXPECT_EQ(redacted_url("http://us@er:p@ss@host/a@b"), "http://host/a@b");
  EXPECT_EQ(redacted_url("oci+https://u:p@host:5000/repo"), "oci+https://host:5000/repo");
}

TEST(RedactedUrl, BlanksTheQueryWhichSignsUrls) {
  EXPECT_EQ(redacted_url("https://host/blob?X-Amz-Signature=abc&Expires=1"),
            "https://host/blob?...");
  EXPECT_EQ(redacted_url("http://u:p@host?token=a@b"), "http://host?...");
}

TEST(Log, KnowsItsLevels) {
  for (const char* level : {"trace", "debug", "info", "warning", "error", "critical", "off"})
    EXPECT_TRUE(is_log_level(level)) << level;
  for (const char* level : {"", "INFO", "loud", "0"}) EXPECT_FALSE(is_log_level(level)) << level;
}

TEST(Log, GoesToAFileAtOnceAndFromItsLevelOn) {
  auto before = spdlog::default_logger();
  test::TempDir dir;
  ASSERT_TRUE(start_log({.level = "info", .file = dir.file("log"), .background = false}));
  spdlog::debug("too quiet");
  spdlog::info("image {} fetched", "abc");
  const std::string text = test::read_file(dir.file("log"));
  spdlog::set_default_logger(before);
  EXPECT_THAT(text, testing::MatchesRegex("....-..-..T..:..:......Z info: image abc fetched\n"));
}

TEST(Log, AFileThatCannotBeWrittenIsAnError) {
  auto started = start_log({.level = "info", .file = "/dev/null/log", .background = false});
  ASSERT_FALSE(started);
  EXPECT_THAT(started.error().message, testing::HasSubstr("/dev/null/log"));
}

}  // namespace
}  // namespace imgcachefs
