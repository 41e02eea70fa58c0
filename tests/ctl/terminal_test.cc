// imgcachectl at a terminal: what fits, what has colour, what is drawn while one waits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "cache/index_driver.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/scratch_cache.h"
#include "support/terminal_window.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr uint64_t kMiB = 1 << 20;
const std::string kUuid = "6f33f02a-204d-41c7-ba99-b977d13554d4";

class AtATerminal : public testing::Test {
 protected:
  void SetUp() override {
    auto layout = CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value();
    auto index = open_index(layout, "sqlite").value();
    cache_.file(kUuid, 3 << 20);
    ASSERT_TRUE(index->put({ImageId::parse(kUuid).value(),
                            3 << 20,
                            12345,
                            std::chrono::system_clock::now() - 49h,
                            std::chrono::system_clock::now() - 3min,
                            Digest::parse_tagged("md5:0123456789abcdef0123456789abcdef").value(),
                            true,
                            {},
                            true}));
  }
  std::string ctl(const std::string& arguments) const {
    return built("imgcachectl") + " -c " + cache_.dir() + " " + arguments;
  }
  static std::string shown(const TerminalWindow& window) {
    EXPECT_TRUE(window.wait_for("ended with")) << window.text();
    return window.text();
  }

  ScratchCache cache_;
};

TEST_F(AtATerminal, ATableFitsItsWidth) {
  const std::string all = shown(TerminalWindow(ctl("list"), {.columns = 120, .rows = 10}));
  EXPECT_THAT(all,
              HasSubstr(kUuid + "  3.0 MiB  3 minutes ago  12345  yes       yes     2 days ago"));
  const std::string some = shown(TerminalWindow(ctl("list"), {.columns = 60, .rows = 10}));
  EXPECT_THAT(some, StartsWith("IMAGE ID                                 SIZE  LAST ACCESSED\n" +
                               kUuid + "  3.0 MiB  3 minutes ago\n"));
  const std::string few = shown(TerminalWindow(ctl("list"), {.columns = 36, .rows = 10}));
  EXPECT_THAT(few, StartsWith("IMAGE ID\n" + kUuid + "\n"));
  const std::string cut = shown(TerminalWindow(ctl("list"), {.columns = 20, .rows = 10}));
  EXPECT_THAT(cut, StartsWith("IMAGE ID\n" + kUuid.substr(0, 19) + "…\n"));
}

TEST_F(AtATerminal, NothingIsCutInAPipe) {
  const std::string piped =
      shown(TerminalWindow(ctl("list") + " | sed s/^/:/", {.columns = 40, .rows = 10}));
  EXPECT_THAT(piped, HasSubstr("HITS"));
  EXPECT_THAT(piped, HasSubstr("2 days ago"));
}

TEST_F(AtATerminal, ColourIsForTerminalsThatWantIt) {
  const std::string escape = "\033[";
  const auto coloured = [&](const std::string& command, WindowSpec spec = {}) {
    TerminalWindow window(command, spec);
    EXPECT_TRUE(window.wait_for("ended with")) << window.text();
    return window.text_with_colours().find(escape) != std::string::npos;
  };
  EXPECT_TRUE(coloured(ctl("list")));
  EXPECT_TRUE(coloured(ctl("status")));
  EXPECT_FALSE(coloured(ctl("list") + " | cat"));
  EXPECT_FALSE(coloured(ctl("list"), {.env = {{"NO_COLOR", "1"}}}));
  EXPECT_FALSE(coloured("TERM=dumb " + ctl("list")));
  EXPECT_FALSE(coloured("unset TERM; " + ctl("list")));
  EXPECT_FALSE(coloured(ctl("list --json")));
}

TEST_F(AtATerminal, AMapFitsItsWidth) {
  for (size_t columns : {30, 80, 133}) {
    TerminalWindow window(ctl("map " + kUuid), {.columns = columns, .rows = 60});
    EXPECT_TRUE(window.wait_for("ended with"));
    // 48 pieces of 64 KiB: on as many lines as it takes, none of them broken.
    const auto lines = window.lines();
    const auto drawn = [](const std::string& line) { return line.ends_with("100%"); };
    const auto count = std::count_if(lines.begin(), lines.end(), drawn);
    EXPECT_EQ(count, columns == 30 ? 6 : 1) << window.text();
  }
}

TEST_F(AtATerminal, VerifyDrawsItsProgress) {
  auto layout = CacheLayout::open(cache_.dir(), CacheLayout::Access::kTool).value();
  auto index = open_index(layout, "sqlite").value();
  for (const char* id : {"a-large-one", "another"}) {
    // Sparse, and longer than a processor hashes in a redraw's time.
    cache_.file(id, 0);
    std::filesystem::resize_file(cache_.path(id), 1 << 30);
    ASSERT_TRUE(index->put({ImageId::parse(id).value(),
                            1 << 30,
                            0,
                            {},
                            {},
                            Digest::parse_tagged("md5:0123456789abcdef0123456789abcdef").value(),
                            true,
                            {},
                            false}));
  }
  TerminalWindow window(ctl("verify a-large-one another"), {.columns = 100, .rows = 24});
  EXPECT_TRUE(window.wait_for("[1/2] a-large-one ")) << window.text();
  EXPECT_TRUE(window.wait_for("ended with 4")) << window.text();
  // What was drawn is gone, what is to be said stands on lines of its own.
  EXPECT_THAT(window.text(), StartsWith("imgcachectl: a-large-one: wrong checksum"));
  EXPECT_THAT(window.text(), Not(HasSubstr("[1/2]")));
}

TEST_F(AtATerminal, AnInterruptEndsAVerificationWithAWord) {
  auto layout = CacheLayout::open(cache_.dir(), CacheLayout::Access::kTool).value();
  auto index = open_index(layout, "sqlite").value();
  cache_.file("a-large-one", 0);
  std::filesystem::resize_file(cache_.path("a-large-one"), 1ULL << 36);  // sparse: minutes of work
  ASSERT_TRUE(index->put({ImageId::parse("a-large-one").value(),
                          1ULL << 36,
                          0,
                          {},
                          {},
                          Digest::parse_tagged("md5:0123456789abcdef0123456789abcdef").value(),
                          true,
                          {},
                          false}));
  TerminalWindow window(ctl("verify a-large-one " + kUuid), {.columns = 100, .rows = 24});
  ASSERT_TRUE(window.wait_for("[1/2] a-large-one ")) << window.text();
  window.press("C-c");
  ASSERT_TRUE(window.wait_for("ended with 1")) << window.text();
  EXPECT_THAT(window.text(),
              StartsWith("imgcachectl: a-large-one: interrupted, and 1 behind it not looked at"));
  EXPECT_TRUE(cache_.has("a-large-one"));
}

class PrefetchAtATerminal : public testing::Test {
 protected:
  // An image of which no more than half comes, and slowly enough to be seen.
  void SetUp() override {
    server_.put("/images/image", Content::generated(8 * kMiB));
    server_.fault({.stall_after = kMiB}, {.method = "GET", .path = "/images/image"}, 0);
    mount_.emplace(MountSpec{.source = server_.url("/images/"),
                             .options = {"retries=0", "low_speed_time=600"}});
  }
  std::string ctl(const std::string& arguments) const {
    return built("imgcachectl") + " -m " + mount_->path() + " " + arguments;
  }

  FaultServer server_;
  std::optional<Mounted> mount_;
};

TEST_F(PrefetchAtATerminal, DrawsABar) {
  TerminalWindow window(ctl("prefetch image"), {.columns = 70, .rows = 10});
  EXPECT_TRUE(window.wait_for("image [#")) << window.text();
  EXPECT_TRUE(window.wait_for(" of 8.0 MiB")) << window.text();
  window.resize(30, 10);
  EXPECT_TRUE(window.wait_until_gone(" of 8.0 MiB"));
  EXPECT_TRUE(window.wait_for("image "));
  window.press("C-c");
  EXPECT_TRUE(window.wait_for("ended with 1")) << window.text();
  EXPECT_THAT(window.text(), HasSubstr("imgcachectl: image: interrupt"));
}

TEST_F(PrefetchAtATerminal, WritesLinesElsewhere) {
  TempDir dir;
  const std::string log = dir.file("log");
  TerminalWindow window(ctl("prefetch image") + " 2>" + log);
  EXPECT_TRUE(wait_until([&] {
    const std::string text = read_file(log);
    return text.starts_with("image: ") && text.find(" of 8.0 MiB") != std::string::npos &&
           text.ends_with("\n");
  })) << read_file(log);
  EXPECT_THAT(read_file(log), Not(HasSubstr("\033")));
  EXPECT_THAT(read_file(log), Not(HasSubstr("\r")));
  window.press("C-c");
  EXPECT_TRUE(window.wait_for("ended with 1"));
}

TEST(ImgcachectlOutput, WhatOthersCalledThingsCannotBreakItsOutput) {
  const CommandResult result =
      run({built("imgcachectl"), "-c", "/no\033[2Jsuch\ndirectory", "list"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("/no\\x1b[2Jsuch\\x0adirectory"));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1);
}

}  // namespace
}  // namespace imgcachefs::test
