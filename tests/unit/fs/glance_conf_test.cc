// glance_conf=FILE: what is taken from Glance's configuration, and who wins.
#include "fs/glance_conf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fs/command_line.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class GlanceConf : public testing::Test {
 protected:
  Result<CommandLine> parse(const std::string& text, std::vector<std::string> more = {},
                            const std::map<std::string, std::string>& environment = {}) {
    path_ = dir_.write("glance-api.conf", text);
    std::vector<std::string> arguments = {"http://host/images/", "/tmp", "-o",
                                          "glance_conf=" + path_};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return parse_command_line(arguments, environment);
  }
  StoreConfig taken(const std::string& text, std::vector<std::string> more = {},
                    const std::map<std::string, std::string>& environment = {}) {
    auto line = parse(text, std::move(more), environment);
    EXPECT_TRUE(line) << line.error().message;
    return line ? line->options.store : StoreConfig{};
  }
  std::string refusal(const std::string& text) {
    auto line = parse(text);
    EXPECT_FALSE(line) << text;
    return line ? "" : line.error().message;
  }

  test::TempDir dir_;
  std::string path_;
};

constexpr const char* kWhole =
    "# Glance\n"
    "[DEFAULT]\n"
    "debug = true\n"
    "image_cache_dir = /var/lib/glance/image-cache/\n"
    "image_cache_driver: xattr\n"
    "  \n"
    "; bytes\n"
    "image_cache_max_size=1048576\n"
    "image_cache_stall_time = '3600'\n"
    "image_cache_sqlite_db = cache.db\n"
    "enabled_backends = a:file,\n"
    "   b:http\n"
    "[glance_store]\n"
    "image_cache_max_size = $what\n";

TEST_F(GlanceConf, GivesWhatGlanceHas) {
  const StoreConfig store = taken(kWhole);
  EXPECT_EQ(store.cache_dir, "/var/lib/glance/image-cache");
  EXPECT_EQ(store.driver, "xattr");
  EXPECT_EQ(store.max_size, 1048576u);
  EXPECT_EQ(store.stall_time, std::chrono::seconds(3600));
}

TEST_F(GlanceConf, IsBelowEveryOptionThatWasGiven) {
  EXPECT_EQ(taken(kWhole, {"--max-size=1G"}).max_size, 1ULL << 30);
  EXPECT_EQ(taken(kWhole, {"-o", "driver=sqlite"}).driver, "sqlite");
  EXPECT_EQ(taken(kWhole, {}, {{"IMGCACHEFS_STALL_TIME", "5"}}).stall_time,
            std::chrono::seconds(5));
  const std::string config = dir_.write("config", "max_size = 2G\n");
  EXPECT_EQ(taken(kWhole, {"--config", config}).max_size, 2ULL << 30);
  EXPECT_EQ(taken("[DEFAULT]\n").max_size, StoreConfig{}.max_size);
}

TEST_F(GlanceConf, MayBeNamedInTheEnvironmentAndTheConfigFile) {
  const std::string conf = dir_.write("c", "[DEFAULT]\nimage_cache_max_size = 77\n");
  const std::vector<std::string> plain = {"http://host/images/", "/tmp"};
  EXPECT_EQ(parse_command_line(plain, {{"IMGCACHEFS_GLANCE_CONF", conf}})->options.store.max_size,
            77u);
  const std::string config = dir_.write("config", "glance_conf = " + conf + "\n");
  EXPECT_EQ(parse_command_line(plain, {{"IMGCACHEFS_CONFIG", config}})->options.store.max_size,
            77u);
}

TEST_F(GlanceConf, WhatCannotBeUnderstoodIsRefusedAndNamed) {
  EXPECT_THAT(refusal("[DEFAULT]\n\nimage_cache_dir = $state_path/x\n"),
              AllOf(HasSubstr(":3"), HasSubstr("image_cache_dir"), HasSubstr("$state_path")));
  EXPECT_THAT(refusal("[DEFAULT]\nimage_cache_max_size = 10G\n"),
              AllOf(HasSubstr(":2"), HasSubstr("image_cache_max_size"), HasSubstr("10G")));
  EXPECT_THAT(refusal("[DEFAULT]\nimage_cache_stall_time = -1\n"),
              HasSubstr("image_cache_stall_time"));
  EXPECT_THAT(refusal("[DEFAULT]\nimage_cache_stall_time =\n"),
              HasSubstr("image_cache_stall_time"));
  EXPECT_THAT(refusal("[DEFAULT]\nimage_cache_dir =\n"), HasSubstr("image_cache_dir"));
  EXPECT_THAT(refusal("[DEFAULT]\nimage_cache_dir = /a\n  /b\n"), HasSubstr("more than one line"));
  EXPECT_THAT(refusal("[DEFAULT]\nimage_cache_sqlite_db = other.db\n"),
              AllOf(HasSubstr("image_cache_sqlite_db"), HasSubstr("other.db")));
  EXPECT_THAT(refusal("[DEFAULT\n"), HasSubstr(":1"));
  EXPECT_THAT(refusal("[DEFAULT]\nimage_cache_dir\n"), HasSubstr(":2"));
  EXPECT_THAT(refusal("image_cache_dir = /x\n"), HasSubstr("before any section"));
  EXPECT_THAT(refusal("[DEFAULT]\n  goes on\n"), HasSubstr(":2"));
  auto missing = parse_command_line(
      {"http://host/images/", "/tmp", "-o", "glance_conf=/no/such/glance.conf"}, {});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("/no/such/glance.conf"));
}

}  // namespace
}  // namespace imgcachefs
