// The limits of a cache, with a real mount and a real nginx: they hold at every moment, and no
// reader notices.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/posix.h"
#include "cache/sqlite_index.h"
#include "support/cache_census.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"
#include "support/small_file_system.h"

namespace imgcachefs::test {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kSize = 2 * kMiB;

class Space : public testing::Test {
 protected:
  std::string bytes_of(const std::string& id, uint64_t size = kSize) const {
    return pattern_string(std::hash<std::string>()(id), 0, size);
  }
  void publish(const std::string& id, uint64_t size = kSize) {
    images_.write(id, bytes_of(id, size));
  }
  void mount(std::vector<std::string> options, const std::string& cache_dir = {},
             NginxOptions nginx = {}) {
    mount_.reset();
    nginx_.emplace(images_.path(), std::move(nginx));
    mount_.emplace(MountSpec{.source = nginx_->url(),
                             .options = std::move(options),
                             .arguments = {},
                             .env = {},
                             .cache_dir = cache_dir});
  }
  void cache(const std::string& id) {
    ASSERT_EQ(mount_->read_all(id), bytes_of(id));
    ASSERT_TRUE(mount_->wait_state(id, "cached")) << id;
  }
  // (The mount itself may tell of an evicted image for a second.)
  bool is_cached(const std::string& id) const { return fs::exists(mount_->cache_dir() + "/" + id); }

  void expect_nothing_cached(const std::string& id) {
    EXPECT_NE(mount_->xattr(id, "state"), "cached");
    EXPECT_EQ(mount_->xattr(id, "verified").value_or("0"), "0");
    EXPECT_FALSE(fs::exists(mount_->cache_dir() + "/" + id));
    EXPECT_EQ(mount_->status()["images"]["cached"], 0);
    EXPECT_TRUE(fs::is_empty(mount_->path()));
    const CommandResult list = run({built("imgcachectl"), "-c", mount_->cache_dir(), "list"});
    EXPECT_EQ(list.out.find(id), std::string::npos) << list.out;
  }

  TempDir images_;
  std::optional<Nginx> nginx_;
  std::optional<Mounted> mount_;
};

// --- the limit -----------------------------------------------------------------------------------

// SEMANTICS: What is cached, incomplete and invalid takes no more than `max_size` together.
TEST_F(Space, HoldsWhileTwentyImagesAreReadAtOnce) {
  constexpr uint64_t kLimit = 6 * kSize;
  std::vector<std::string> ids;
  for (int i = 0; i < 20; ++i) ids.push_back("image-" + std::to_string(i));
  for (const std::string& id : ids) publish(id);
  publish("corrupt");
  publish_checksums(images_.path());
  images_.write("corrupt", bytes_of("another"));
  mount({"max_size=" + std::to_string(kLimit)});
  EXPECT_EQ(mount_->read_errno("corrupt"), 0);
  EXPECT_NE(run({"cat", mount_->path("corrupt")}).exit_code, 0);
  EXPECT_TRUE(wait_until([&] { return mount_->status()["images"]["invalid"] == 1; }));

  std::atomic<bool> over = false;
  uint64_t most = 0, looks = 0;
  std::thread sampler([&] {
    for (; !over; ++looks) most = std::max(most, census(mount_->cache_dir()));
  });
  std::vector<std::string> read(ids.size());
  std::vector<std::thread> readers;
  for (size_t i = 0; i < ids.size(); ++i)
    readers.emplace_back([&, i] {
      try {
        read[i] = mount_->read_all(ids[i]);
      } catch (const std::exception& error) {
        read[i] = error.what();
      }
    });
  for (std::thread& reader : readers) reader.join();
  EXPECT_TRUE(wait_until([&] { return mount_->status()["fills"].empty(); }));
  over = true;
  sampler.join();
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_TRUE(read[i] == bytes_of(ids[i])) << ids[i];
  EXPECT_LE(most, kLimit) << "of " << looks << " looks";
  EXPECT_GE(most, kSize);
  EXPECT_LE(census(mount_->cache_dir()), kLimit);
  EXPECT_LE(mount_->status()["used"], kLimit);
  RecordProperty("looks", std::to_string(looks));
  RecordProperty("most", std::to_string(most));
}

// SEMANTICS: Room is made by evicting the least recently used image that nobody has open and that
// is not pinned.
TEST_F(Space, IsMadeByEvictingTheLeastRecentlyUsed) {
  for (const char* id : {"pinned", "open", "old", "used-again", "new", "newer"}) publish(id);
  mount({"max_size=" + std::to_string(4 * kSize)});
  for (const char* id : {"pinned", "open", "used-again", "old"}) cache(id);
  {
    auto layout = CacheLayout::open(mount_->cache_dir(), CacheLayout::Access::kTool);
    ASSERT_TRUE(layout);
    auto index = open_sqlite_index(*layout, false);
    ASSERT_TRUE(index);
    ASSERT_TRUE((*index)->set_pinned(*ImageId::parse("pinned"), true));
  }
  UniqueFd open(::open(mount_->path("open").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(mount_->read("used-again", 0, 1), bytes_of("used-again").substr(0, 1));
  cache("new");
  EXPECT_FALSE(is_cached("old"));
  for (const char* id : {"pinned", "open", "used-again"}) EXPECT_TRUE(is_cached(id)) << id;
  cache("newer");
  EXPECT_FALSE(is_cached("used-again"));
  for (const char* id : {"pinned", "open", "new"}) EXPECT_TRUE(is_cached(id)) << id;
  // By hand neither goes.
  for (const char* id : {"pinned", "open"}) {
    const CommandResult refused =
        run({built("imgcachectl"), "-c", mount_->cache_dir(), "evict", id});
    EXPECT_EQ(refused.exit_code, 7) << refused.describe();
    EXPECT_TRUE(is_cached(id));
  }
  EXPECT_LE(census(mount_->cache_dir()), 4 * kSize);
}

TEST_F(Space, IsEnoughForAnImageThatFitsExactly) {
  publish("before");
  publish("exact", 4 * kSize);
  for (const bool ranges : {true, false}) {
    mount({"max_size=" + std::to_string(4 * kSize)}, {}, {.ranges = ranges});
    cache("before");
    EXPECT_TRUE(mount_->read_all("exact") == bytes_of("exact", 4 * kSize));
    EXPECT_TRUE(mount_->wait_state("exact", "cached")) << ranges;
    EXPECT_FALSE(is_cached("before"));
    EXPECT_LE(mount_->status()["used"], 4 * kSize);
  }
}

// --- around the cache ----------------------------------------------------------------------------

// SEMANTICS: An image for which there is no room is served around the cache, and its reader sees no
// error.
// SEMANTICS: An image that is served around the cache is never called cached.
TEST_F(Space, IsNotTakenByAnImageLargerThanTheLimit) {
  publish("large", 12 * kMiB);
  publish("small");
  publish_checksums(images_.path());
  mount({"max_size=4M"});
  cache("small");
  const std::string large = bytes_of("large", 12 * kMiB);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(mount_->read("large", 7 * kMiB + 5, 9000), large.substr(7 * kMiB + 5, 9000));
    EXPECT_TRUE(mount_->read_all("large") == large);
    EXPECT_TRUE(run({"cmp", mount_->path("large"), images_.file("large")}).ok());
    EXPECT_NE(mount_->xattr("large", "state"), "cached");
  }
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i)
    readers.emplace_back([&] { EXPECT_TRUE(mount_->read_all("large") == large); });
  for (std::thread& reader : readers) reader.join();
  EXPECT_FALSE(fs::exists(mount_->cache_dir() + "/large"));
  EXPECT_TRUE(is_cached("small"));  // nothing was evicted for what can never fit
}

class SpaceOnASmallFileSystem : public Space, public testing::WithParamInterface<const char*> {};

TEST_P(SpaceOnASmallFileSystem, IsNotNeededToReadALargerImage) {
  ASSERT_EQ(::geteuid(), 0u);
  constexpr uint64_t kLarge = 24 * kMiB;
  publish("large", kLarge);
  publish_checksums(images_.path());
  SmallFileSystem small(GetParam());
  mount({}, small.cache_dir());
  const std::string large = bytes_of("large", kLarge);
  EXPECT_EQ(mount_->read("large", kLarge - 5000, 9000), large.substr(kLarge - 5000));
  for (int round = 0; round < 2; ++round) EXPECT_TRUE(mount_->read_all("large") == large) << round;
  EXPECT_TRUE(run({"cmp", mount_->path("large"), images_.file("large")}).ok());
  expect_nothing_cached("large");
  EXPECT_EQ(mount_->unmount(), 0);
}

// Read chunk by chunk: the room runs out when a part is here already.
TEST_P(SpaceOnASmallFileSystem, RunsOutInTheMiddleUnnoticed) {
  ASSERT_EQ(::geteuid(), 0u);
  constexpr uint64_t kLarge = 24 * kMiB;
  publish("large", kLarge);
  publish_checksums(images_.path());
  SmallFileSystem small(GetParam());
  mount({"fill=demand"}, small.cache_dir());
  EXPECT_TRUE(mount_->read_all("large") == bytes_of("large", kLarge));
  expect_nothing_cached("large");
  EXPECT_EQ(mount_->unmount(), 0);
}

TEST_P(SpaceOnASmallFileSystem, IsTakenBySomebodyElseUnnoticed) {
  ASSERT_EQ(::geteuid(), 0u);
  constexpr uint64_t kFits = 4 * kMiB;
  FaultServer server;
  server.put("/image", Content::generated(kFits, 5));
  Behaviour stalls;
  stalls.stall_after = kMiB / 2;
  SmallFileSystem small(GetParam());
  Mounted mount({.source = server.url(),
                 .options = {"low_speed_time=600"},
                 .arguments = {},
                 .env = {},
                 .cache_dir = small.cache_dir()});
  EXPECT_EQ(mount.xattr("image", "state"), "uncached");
  server.fault(stalls, {.method = "GET", .path = "/image"}, 0);
  std::string read;
  std::atomic<bool> done = false;
  std::thread reader([&] {
    read = mount.read_all("image");
    done = true;
  });
  EXPECT_TRUE(wait_until([&] { return mount.xattr("image", "state") == "incomplete"; }));
  small.fill_up();
  server.clear_faults();
  EXPECT_TRUE(wait_until([&] {  // stalls that begin yet, too
    server.release();
    return done.load();
  }));
  reader.join();
  EXPECT_TRUE(read == pattern_string(5, 0, kFits));
  EXPECT_NE(mount.xattr("image", "state"), "cached");
  EXPECT_TRUE(mount.read_all("image") == pattern_string(5, 0, kFits));
  EXPECT_EQ(mount.unmount(), 0);
}

INSTANTIATE_TEST_SUITE_P(Types, SpaceOnASmallFileSystem, testing::Values("tmpfs", "ext4"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace imgcachefs::test
