// imgcachectl top on a real mount, in a real terminal and in pipes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/terminal_window.h"

namespace imgcachefs::test {
namespace {

using nlohmann::json;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kMiB = 1 << 20;

class Top : public testing::Test {
 protected:
  // One image is cached and was opened again, one stands still in the midst of its fill, and one
  // is queued and cannot be had.
  void SetUp() override {
    server_.put("/images/cached", Content::generated(kMiB));
    server_.put("/images/filling", Content::generated(8 * kMiB));
    server_.fault({.stall_after = kMiB}, {.method = "GET", .path = "/images/filling"}, 0);
    server_.fault(Behaviour::of_status(503), {.method = "", .path = "/images/queued"}, 0);
    mount_.emplace(MountSpec{.source = server_.url("/images/"),
                             .options = {"retries=0", "low_speed_time=600", "max_size=1G"}});
    mount_->read_all("cached");
    ASSERT_TRUE(mount_->wait_state("cached", "cached"));
    mount_->read("cached", 0, 10);
    ASSERT_EQ(
        run({built("imgcachectl"), "-m", mount_->path(), "queue", "filling", "queued"}).exit_code,
        0);
    ASSERT_TRUE(wait_until([&] {
      const json status = mount_->status();
      return status["fills"].size() == 1 && status["fills"][0]["cached_bytes"] > 0 &&
             !status["queue"].empty() &&
             std::any_of(status["queue"].begin(), status["queue"].end(),
                         [](const json& entry) { return !entry["error"].is_null(); });
    }));
  }
  std::string top(const std::string& arguments = "") const {
    return built("imgcachectl") + " -m " + mount_->path() + " top " + arguments;
  }
  // The modes of the terminal that a full-screen program changes.
  static std::string modes(const TerminalWindow& window) {
    return run({"stty", "-F", window.processes_tty(), "-a"}).out;
  }

  FaultServer server_;
  std::optional<Mounted> mount_;
};

TEST_F(Top, ShowsWhatTheMountDoes) {
  TerminalWindow window(top(), {.columns = 140, .rows = 24});
  ASSERT_TRUE(window.wait_for("q ends")) << window.text();
  EXPECT_TRUE(window.on_other_screen());
  const auto lines = window.lines();
  EXPECT_EQ(lines.size(), 24u);
  EXPECT_EQ(lines.back(), "q ends");
  const std::string text = window.text();
  EXPECT_THAT(text, ContainsRegex("cache +\\[-*\\]  [0-9.]+ MiB of 1.0 GiB"));
  EXPECT_THAT(text, ContainsRegex("images +1 cached  1 incomplete"));
  EXPECT_THAT(text, ContainsRegex("hit rate +[0-9]+ %"));
  EXPECT_THAT(text, ContainsRegex("filling \\(1\\)\nfilling \\[#"));
  EXPECT_THAT(text, ContainsRegex("queued +[0-9]+ failed, next try .*503"));
  // And goes on: a rate is known from the second look on.
  EXPECT_TRUE(window.wait_for("requests/s"));
}

TEST_F(Top, LeavesTheTerminalAsItWas) {
  for (const char* how : {"q", "C-c", "TERM"}) {
    TerminalWindow window("stty -a >/dev/null; echo before; exec 3>&1; " + top());
    ASSERT_TRUE(window.wait_for("q ends"));
    const std::string while_it_runs = modes(window);
    EXPECT_THAT(while_it_runs, HasSubstr("-icanon"));
    EXPECT_THAT(while_it_runs, HasSubstr(" -echo "));
    if (std::string(how) == "TERM") {
      const std::string pid =
          run({"pgrep", "-f", "-n", "^" + built("imgcachectl") + " -m " + mount_->path() + " top"})
              .out;
      ASSERT_NE(pid, "");
      ASSERT_EQ(::kill(std::stoi(pid), SIGTERM), 0);
    } else {
      window.press(how);
    }
    ASSERT_TRUE(window.wait_for("ended with 0")) << how << window.text();
    EXPECT_FALSE(window.on_other_screen()) << how;
    EXPECT_THAT(window.text(), testing::StartsWith("before\nended with 0")) << how;
    EXPECT_THAT(modes(window), Not(HasSubstr("-icanon"))) << how;
    EXPECT_THAT(modes(window), HasSubstr(" echo ")) << how;
  }
}

TEST_F(Top, StopsAndGoesOnAsAShellAsksForIt) {
  TerminalWindow window("exec bash --norc --noprofile -i");
  window.type(top());
  window.press("Enter");
  ASSERT_TRUE(window.wait_for("q ends")) << window.text();
  window.press("C-z");
  ASSERT_TRUE(window.wait_for("Stopped")) << window.text();
  EXPECT_FALSE(window.on_other_screen());
  window.type("fg");
  window.press("Enter");
  ASSERT_TRUE(window.wait_for("q ends")) << window.text();
  window.press("q");
  EXPECT_TRUE(window.wait_until_gone("q ends"));
  window.type("echo ended with $?");
  window.press("Enter");
  EXPECT_TRUE(window.wait_for("\nended with 0")) << window.text();
}

TEST_F(Top, FollowsTheSizeOfTheTerminal) {
  TerminalWindow window(top(), {.columns = 40, .rows = 8});
  ASSERT_TRUE(window.wait_for("q ends")) << window.text();
  EXPECT_EQ(window.lines().size(), 8u);
  EXPECT_EQ(window.lines().back(), "q ends");
  EXPECT_THAT(window.text(), HasSubstr("cache "));
  window.resize(120, 30);
  EXPECT_TRUE(wait_until([&] {
    return window.lines().size() == 30 && window.lines().back() == "q ends" &&
           window.text().find("next try") != std::string::npos;
  })) << window.text();
  window.resize(12, 3);
  EXPECT_TRUE(wait_until([&] {
    return window.lines().size() == 3 && window.lines().back() == "q ends";
  })) << window.text();
}

TEST_F(Top, SaysWhenTheMountGoes) {
  TerminalWindow window(top());
  ASSERT_TRUE(window.wait_for("q ends"));
  server_.clear_faults();
  server_.release();
  EXPECT_EQ(mount_->unmount(), 0);
  ASSERT_TRUE(window.wait_for("ended with 1")) << window.text();
  EXPECT_THAT(window.text(), HasSubstr("the mount is gone"));
  EXPECT_FALSE(window.on_other_screen());
}

TEST_F(Top, PrintsSnapshotsWhereThereIsNoTerminal) {
  const CommandResult once = run({built("imgcachectl"), "-m", mount_->path(), "top", "--once"});
  EXPECT_EQ(once.exit_code, 0) << once.describe();
  EXPECT_THAT(once.out, HasSubstr("filling (1)"));
  EXPECT_THAT(once.out, Not(HasSubstr("\033")));
  EXPECT_THAT(once.out, Not(HasSubstr("requests/s")));  // there was none before it
  const CommandResult twice =
      run({built("imgcachectl"), "-c", mount_->cache_dir(), "top", "-n", "2"});
  EXPECT_EQ(twice.exit_code, 0);
  EXPECT_THAT(twice.out, ContainsRegex("requests/s"));
}

TEST_F(Top, GivesAnObjectALineToPrograms) {
  const CommandResult result =
      run({built("imgcachectl"), "-m", mount_->path(), "top", "--json", "-n", "2"});
  EXPECT_EQ(result.exit_code, 0) << result.describe();
  std::istringstream lines(result.out);
  std::string first, second, third;
  ASSERT_TRUE(std::getline(lines, first) && std::getline(lines, second));
  EXPECT_FALSE(std::getline(lines, third));
  const json a = json::parse(first), b = json::parse(second);
  EXPECT_EQ(a["mountpoint"], mount_->path());
  EXPECT_EQ(a["max_size"], 1 << 30);
  EXPECT_EQ(a["images"]["cached"], 1);
  EXPECT_EQ(a["upstream"]["bytes_per_second"], nullptr);
  EXPECT_TRUE(b["upstream"]["bytes_per_second"].is_number_integer());
  EXPECT_EQ(b["fills"][0]["image_id"], "filling");
  EXPECT_EQ(b["fills"][0]["size"], 8 * kMiB);
  EXPECT_THAT(b["time"].get<std::string>(), testing::MatchesRegex("2[0-9T:-]+Z"));
}

TEST(TopWithoutAMount, FailsAndSaysWhy) {
  TempDir dir;
  const CommandResult none = run({built("imgcachectl"), "-c", dir.path(), "top", "--once"});
  EXPECT_EQ(none.exit_code, 1) << none.describe();
  EXPECT_THAT(none.err, HasSubstr("nothing to watch"));
  const CommandResult other = run({built("imgcachectl"), "-m", dir.path(), "top", "--once"});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("no imgcachefs is mounted there"));
}

}  // namespace
}  // namespace imgcachefs::test
