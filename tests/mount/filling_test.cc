// What a mount fetches beside what is read (DESIGN 2.3), with a real nginx behind it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>

#include "base/posix.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"

namespace imgcachefs::test {
namespace {

using std::chrono::seconds;

constexpr uint64_t kChunk = 64 << 10;
constexpr uint64_t kSize = 8 << 20;

uint64_t cached_bytes(const Mounted& mount, const std::string& id) {
  return std::stoull(mount.xattr(id, "cached_bytes").value());
}

class Filling : public testing::Test {
 protected:
  Filling() : bytes_(pattern_string(11, 0, kSize)) { images_.write("image", bytes_); }

  void mount(std::vector<std::string> options, NginxOptions nginx = {}) {
    nginx_.emplace(images_.path(), std::move(nginx));
    mount_.emplace(MountSpec{.source = nginx_->url(), .options = std::move(options)});
  }
  std::string expected(uint64_t offset, size_t length) const {
    return bytes_.substr(offset, length);
  }
  // A reader that readahead does not help: exactly these bytes are asked for.
  std::string read_direct(uint64_t offset, size_t length) const {
    UniqueFd fd(::open(mount_->path("image").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(4096, length),
                                                       &std::free);
    const ssize_t n = ::pread(fd.get(), buffer.get(), length, static_cast<off_t>(offset));
    return {static_cast<char*>(buffer.get()), static_cast<size_t>(std::max<ssize_t>(n, 0))};
  }
  // Nothing is on its way, and a while later nothing has come.
  void expect_rest(const std::string& id) {
    EXPECT_TRUE(wait_until([&] { return mount_->status()["fills"].empty(); }));
    const uint64_t before = cached_bytes(*mount_, id);
    std::this_thread::sleep_for(seconds(1));
    EXPECT_TRUE(mount_->status()["fills"].empty());
    EXPECT_EQ(cached_bytes(*mount_, id), before);
  }

  const std::string bytes_;
  TempDir images_;
  std::optional<Nginx> nginx_;
  std::optional<Mounted> mount_;
};

// SEMANTICS: With `fill=auto` a look at the header fetches a chunk or a few, and nothing goes on
// after it.
TEST_F(Filling, IsNotStartedByALookAtTheHeader) {
  mount({});
  EXPECT_EQ(run({"head", "-c", "65536", mount_->path("image")}).out, expected(0, 65536));
  expect_rest("image");
  EXPECT_GE(cached_bytes(*mount_, "image"), kChunk);
  EXPECT_LE(cached_bytes(*mount_, "image"), 4 * kChunk);
  EXPECT_EQ(mount_->xattr("image", "state"), "incomplete");
}

TEST_F(Filling, IsNotStartedByAScanOfTheDirectory) {
  auto name = [](int i) { return "scanned-" + std::to_string(i); };
  for (int i = 0; i < 100; ++i)
    std::filesystem::create_hard_link(images_.file("image"), images_.file(name(i)));
  mount({"list=all"}, {.autoindex = "json"});
  const CommandResult scan =
      run({"bash", "-c", "for f in \"$1\"/scanned-*; do head -c 1024 \"$f\"; done", "scan",
           mount_->path()});
  ASSERT_TRUE(scan.ok()) << scan.describe();
  ASSERT_EQ(scan.out.size(), 100 * 1024u);
  for (size_t i = 0; i < 100; ++i) ASSERT_EQ(scan.out.substr(i * 1024, 1024), expected(0, 1024));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(cached_bytes(*mount_, name(i)), kChunk);
  expect_rest(name(0));
  mount_->unmount();
  nginx_->stop();
  for (int i = 0; i < 100; ++i) EXPECT_LE(nginx_->sent_bytes("/" + name(i)), kChunk);
}

// SEMANTICS: With `fill=auto` a reader that goes on starts the fill of the whole image.
TEST_F(Filling, IsStartedByAReaderWhoGoesOn) {
  mount({});
  EXPECT_EQ(mount_->read("image", 0, 3 << 20), expected(0, 3 << 20));
  EXPECT_TRUE(mount_->wait_state("image", "cached"));
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  EXPECT_EQ(nginx_->sent_bytes("/image"), kSize);
}

// SEMANTICS: With `fill=demand` only what is read is fetched.
TEST_F(Filling, OnDemandFetchesWhatIsReadAndNoMore) {
  mount({"fill=demand"});
  EXPECT_EQ(read_direct(0, 3 << 20), expected(0, 3 << 20));
  EXPECT_EQ(read_direct(5 << 20, 4096), expected(5 << 20, 4096));
  expect_rest("image");
  EXPECT_EQ(cached_bytes(*mount_, "image"), (3u << 20) + kChunk);
  EXPECT_EQ(mount_->xattr("image", "state"), "incomplete");
  // Who reads it all has it cached all the same.
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  EXPECT_TRUE(mount_->wait_state("image", "cached"));
}

// SEMANTICS: With `fill=full` the first read starts the fill of the whole image.
TEST_F(Filling, InFullIsStartedByTheFirstByte) {
  mount({"fill=full"});
  UniqueFd open(::open(mount_->path("image").c_str(), O_RDONLY));  // not by an open
  expect_rest("image");
  EXPECT_EQ(mount_->xattr("image", "state"), "uncached");
  EXPECT_EQ(mount_->read("image", kSize / 2, 1), expected(kSize / 2, 1));
  EXPECT_TRUE(mount_->wait_state("image", "cached"));
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  EXPECT_EQ(nginx_->sent_bytes("/image"), kSize);
}

// --- upstream without ranges ---------------------------------------------------------------------

// SEMANTICS: An upstream without ranges is read in one sequential pass, and a read waits for it to
// come by.
TEST_F(Filling, WithoutRangesIsOnePass) {
  mount({}, {.ranges = false});
  std::vector<std::thread> readers;
  std::vector<std::string> read(8);
  for (size_t i = 0; i < read.size(); ++i)  // from the end and from everywhere at once
    readers.emplace_back([&, i] {
      const uint64_t offset = kSize / read.size() * (read.size() - 1 - i);
      read[i] =
          i == 0 ? mount_->read("image", kSize - 4096, 8192) : mount_->read("image", offset, kSize);
    });
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(read[0], expected(kSize - 4096, 4096));
  for (size_t i = 1; i < read.size(); ++i)
    EXPECT_EQ(read[i], bytes_.substr(kSize / read.size() * (read.size() - 1 - i)));
  EXPECT_TRUE(mount_->wait_state("image", "cached"));
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  mount_->unmount();
  nginx_->stop();
  // (That ranges are not honoured shows in the answers to the first requests, which are cut.)
  unsigned passes = 0;
  for (const NginxRequest& request : nginx_->requests())
    if (request.method == "GET" && request.path == "/image" && request.range.empty()) {
      ++passes;
      EXPECT_EQ(request.sent, kSize);
    }
  EXPECT_EQ(passes, 1u);
}

TEST(FillingWithoutRanges, LetsAFarReadWaitAndNoOther) {
  FaultServer server;
  server.put("/image", Content::generated(kSize, 11));
  Behaviour no_ranges;
  no_ranges.ignore_range = no_ranges.no_accept_ranges = true;
  server.on_request([no_ranges](const Request& request) {
    Behaviour behaviour = no_ranges;
    if (request.range().empty()) behaviour.stall_after = kSize / 2;
    return behaviour;
  });
  Mounted mount({.source = server.url(), .options = {"fill=demand", "low_speed_time=600"}});
  std::atomic<bool> far_done = false;
  std::string far;
  std::thread reader([&] {
    far = mount.read("image", kSize - 4096, 4096);
    far_done = true;
  });
  for (uint64_t offset : {uint64_t{1000}, kSize / 2 - 8192, uint64_t{0}})
    EXPECT_EQ(mount.read("image", offset, 4096), pattern_string(11, offset, 4096));
  EXPECT_FALSE(far_done);
  // Again and again: the stall may begin after the last byte before it was read.
  EXPECT_TRUE(wait_until([&] {
    server.release();
    return far_done.load();
  }));
  reader.join();
  EXPECT_EQ(far, pattern_string(11, kSize - 4096, 4096));
  size_t passes = 0;
  for (const Request& request : server.requests())
    if (request.method == "GET" && request.path == "/image" && request.range().empty()) ++passes;
  EXPECT_EQ(passes, 1u);
}

// A range that was asked for before it is known that there are none has laid claim to its chunk,
// and the pass comes by only once.
TEST(FillingWithoutRanges, TakesWhatAHopelessRangeHasClaimed) {
  FaultServer server;
  server.put("/image", Content::generated(kSize, 11));
  std::atomic<unsigned> ranges = 0;
  server.on_request([&](const Request& request) {
    Behaviour behaviour;
    behaviour.ignore_range = behaviour.no_accept_ranges = true;
    // The second range is answered when all else is done.
    if (!request.range().empty() && ranges++ == 1) behaviour.stall_before_head = true;
    // And the pass begins when both were asked for.
    if (!request.range().empty() && ranges == 1)
      wait_until([&] { return ranges == 2; }, seconds(10));
    return behaviour;
  });
  Mounted mount({.source = server.url(), .options = {"fill=demand", "low_speed_time=600"}});
  std::atomic<int> done = 0;
  std::vector<std::string> read(2);
  std::vector<std::thread> readers;
  const std::array<uint64_t, 2> places = {kSize - 4096, 4096};
  for (size_t i = 0; i < 2; ++i)
    readers.emplace_back([&, i] {
      read[i] = mount.read("image", places[i], 4096);
      ++done;
    });
  EXPECT_TRUE(wait_until([&] { return done == 2; }));
  wait_until(
      [&] {
        server.release();
        return done == 2;
      },
      seconds(10));
  for (std::thread& reader : readers) reader.join();
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(read[i] == pattern_string(11, places[i], 4096)) << i;
}

// --- how fast, and over how many connections -----------------------------------------------------

// At these rates a fill takes longer than any test may.
TEST_F(Filling, IsHeldBackByTheRateAndDemandIsNot) {
  for (const bool ranges : {true, false}) {
    mount({"limit_rate=1K"}, {.ranges = ranges});
    EXPECT_EQ(mount_->read("image", 0, 2 << 20), expected(0, 2 << 20));
    EXPECT_FALSE(mount_->status()["fills"].empty()) << ranges;
    // What the reader left to the fill comes slowly...
    std::this_thread::sleep_for(seconds(2));
    EXPECT_EQ(mount_->xattr("image", "state"), "incomplete") << ranges;
    EXPECT_LE(cached_bytes(*mount_, "image"), kSize - (1 << 20)) << ranges;
    // ... and what is asked for at once, also where the fill has laid claim to it.
    EXPECT_EQ(mount_->read("image", kSize - 4096, 4096), expected(kSize - 4096, 4096)) << ranges;
    EXPECT_EQ(mount_->read_all("image"), bytes_) << ranges;
    EXPECT_TRUE(mount_->wait_state("image", "cached")) << ranges;
    EXPECT_EQ(mount_->unmount(), 0);
    if (ranges) {
      EXPECT_EQ(nginx_->sent_bytes("/image"), kSize);
    }
  }
}

TEST_F(Filling, OverOneConnectionDemandComesFirst) {
  images_.write("other", bytes_);
  mount({"connections=1", "limit_rate=1K"});
  EXPECT_EQ(mount_->read("image", 0, 2 << 20), expected(0, 2 << 20));
  EXPECT_FALSE(mount_->status()["fills"].empty());
  EXPECT_EQ(mount_->read("image", kSize - 4096, 4096), expected(kSize - 4096, 4096));
  EXPECT_EQ(mount_->read_all("other"), bytes_);
  EXPECT_EQ(mount_->unmount(), 0);
}

TEST_F(Filling, OverOneConnectionEndsWell) {
  images_.write("other", bytes_);
  mount({"connections=1"});
  std::string other;
  std::thread reader([&] { other = mount_->read_all("other"); });
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  reader.join();
  EXPECT_EQ(other, bytes_);
  for (const char* id : {"image", "other"}) {
    EXPECT_TRUE(mount_->wait_state(id, "cached"));
    EXPECT_EQ(nginx_->sent_bytes(std::string("/") + id), kSize);
  }
}

}  // namespace
}  // namespace imgcachefs::test
