// Readers of a silent upstream: they can leave, they hold up nobody, and the end of the mount frees
// them (DESIGN 2.2 and 2.3).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>
#include <vector>

#include "support/fault_server.h"
#include "support/mounted.h"

namespace imgcachefs::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kSize = 16 << 20;

class LeavingReaders : public testing::Test {
 protected:
  LeavingReaders() {
    server_.put("/silent", Content::generated(kSize, 1));
    server_.put("/good", Content::generated(1 << 20, 2));
    Behaviour silent;
    silent.stall_after = 0;
    server_.fault(silent, {.method = "GET", .path = "/silent"}, 0);
    // Far more patience than a test has: nothing here ends by itself.
    mount_.emplace(
        MountSpec{.source = server_.url(), .options = {"low_speed_time=600", "retries=1000"}});
  }
  ~LeavingReaders() override { server_.release(); }

  // Ends `command` with a signal after a second, and expects it to have gone at once.
  void expect_leaves(const std::string& signal, const std::vector<std::string>& command) {
    std::vector<std::string> argv = {"timeout", "-k", "20", "-s", signal, "1"};
    argv.insert(argv.end(), command.begin(), command.end());
    RunOptions limit;
    limit.timeout = seconds(30);
    const auto start = Clock::now();
    CommandResult result = run(argv, limit);
    EXPECT_EQ(result.exit_code, signal == "KILL" ? 137 : 124) << result.describe();
    EXPECT_LT(Clock::now() - start, seconds(15)) << command.back();
  }

  FaultServer server_;
  std::optional<Mounted> mount_;
};

// SEMANTICS: A reader that is interrupted leaves at once, buffered or O_DIRECT.
TEST_F(LeavingReaders, LeaveAtOnceBufferedAndDirect) {
  // (dd has a handler for SIGINT: a buffered read of it goes on, as from any file system.)
  const std::string silent = "if=" + mount_->path("silent");
  for (const char* signal : {"INT", "TERM", "KILL"}) {
    expect_leaves(signal, {"cat", mount_->path("silent")});
    expect_leaves(signal, {"dd", "bs=4096", "count=1", "of=/dev/null", "iflag=direct", silent});
    expect_leaves(signal, {"dd", "bs=8M", "count=1", "of=/dev/null", "iflag=direct", silent});
  }
}

TEST_F(LeavingReaders, LeaveALookUpThatWaits) {
  Behaviour silent;
  silent.stall_before_head = true;
  server_.fault(silent, {.path = "/slow-to-stat"}, 0);
  expect_leaves("INT", {"cat", mount_->path("slow-to-stat")});
  expect_leaves("KILL", {"stat", mount_->path("slow-to-stat")});
}

// SEMANTICS: A reader that waits for a silent upstream does not hold up anybody who needs it not.
TEST_F(LeavingReaders, HoldUpNobodyElse) {
  EXPECT_EQ(mount_->read_all("good"), pattern_string(2, 0, 1 << 20));
  ASSERT_TRUE(mount_->wait_state("good", "cached"));
  server_.put("/partly", Content::generated(kSize, 4));
  EXPECT_EQ(mount_->read("partly", 0, 1000), pattern_string(4, 0, 1000));
  std::vector<std::thread> readers;
  for (int i = 0; i < 64; ++i)
    readers.emplace_back([&, i] {
      run({"dd", "if=" + mount_->path("silent"), "of=/dev/null", "bs=4096", "count=1",
           "iflag=direct", "skip=" + std::to_string(i * 64)});
    });
  ASSERT_TRUE(server_.wait_for({.method = "GET", .path = "/silent"}, 1, seconds(30)));
  std::this_thread::sleep_for(seconds(1));
  struct stat st;
  EXPECT_EQ(::stat(mount_->path("silent").c_str(), &st), 0);
  EXPECT_EQ(st.st_size, static_cast<off_t>(kSize));
  EXPECT_EQ(mount_->xattr("silent", "cached_bytes"), "0");
  EXPECT_TRUE(mount_->status().contains("fills"));
  EXPECT_TRUE(run({"ls", "-l", mount_->path()}).ok());
  EXPECT_TRUE(run({"df", mount_->path()}).ok());
  const std::string present = "if=" + mount_->path("partly");
  EXPECT_EQ(run({"dd", present, "bs=1000", "count=1", "status=none", "iflag=direct"}).out,
            pattern_string(4, 0, 1000));
  EXPECT_EQ(mount_->read_all("good"), pattern_string(2, 0, 1 << 20));
  server_.clear_faults();
  server_.release();
  mount_->terminate(SIGTERM);
  for (std::thread& reader : readers) reader.join();
}

// One is enough: the kernel keeps look-ups of one directory apart unless it is told not to.
TEST_F(LeavingReaders, HoldUpNobodyElseWithALookUp) {
  server_.put("/cold", Content::generated(1 << 20, 3));
  EXPECT_EQ(mount_->read_all("good"), pattern_string(2, 0, 1 << 20));
  ASSERT_TRUE(mount_->wait_state("good", "cached"));
  Behaviour silent;
  silent.stall_before_head = true;
  server_.fault(silent, {.path = "/slow-to-stat"}, 0);
  std::thread waiting([&] { run({"stat", mount_->path("slow-to-stat")}); });
  ASSERT_TRUE(server_.wait_for({.path = "/slow-to-stat"}, 1, seconds(30)));
  RunOptions limit;
  limit.timeout = seconds(20);
  const CommandResult ls = run({"ls", mount_->path()}, limit);
  EXPECT_EQ(ls.out, "good\n") << ls.describe();
  for (auto [id, seed] : {std::pair("good", 2), std::pair("cold", 3)}) {
    const CommandResult cat = run({"cat", mount_->path(id)}, limit);
    EXPECT_TRUE(cat.ok() && cat.out == pattern_string(seed, 0, 1 << 20)) << id << cat.err;
  }
  server_.clear_faults();
  server_.release();
  waiting.join();
}

TEST_F(LeavingReaders, AreFreedByTheEndOfTheMount) {
  std::vector<CommandResult> results(4);
  std::vector<std::thread> readers;
  for (size_t i = 0; i < results.size(); ++i)
    readers.emplace_back([&, i] {
      std::vector<std::string> argv = {"dd",           "if=" + mount_->path("silent"),
                                       "of=/dev/null", "bs=4096",
                                       "count=1",      "skip=" + std::to_string(i * 256)};
      if (i % 2) argv.push_back("iflag=direct");
      results[i] = run(argv);
    });
  ASSERT_TRUE(server_.wait_for({.method = "GET", .path = "/silent"}, 1, seconds(30)));
  std::this_thread::sleep_for(milliseconds(500));
  EXPECT_EQ(mount_->terminate(SIGTERM, seconds(20)), 0);
  for (std::thread& reader : readers) reader.join();
  for (const CommandResult& result : results) EXPECT_EQ(result.exit_code, 1) << result.describe();
}

}  // namespace
}  // namespace imgcachefs::test
