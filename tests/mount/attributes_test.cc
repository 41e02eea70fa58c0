// What stat(2), statfs(2) and the extended attributes say (DESIGN 2.2).
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <chrono>
#include <map>

#include "base/posix.h"
#include "support/fault_server.h"
#include "support/mounted.h"

namespace imgcachefs::test {
namespace {

constexpr size_t kSize = (2 << 20) + 123;
constexpr time_t kUpstreamTime = 1'700'000'000;  // Tue, 14 Nov 2023 22:13:20 GMT

Content image(uint64_t seed) {
  Content content = Content::generated(kSize, seed);
  content.last_modified = "Tue, 14 Nov 2023 22:13:20 GMT";
  return content;
}

struct stat stat_of(const std::string& path) {
  struct stat st {};
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path << ": " << errno;
  return st;
}

std::map<std::string, ino_t> inodes_listed(const std::string& directory) {
  std::map<std::string, ino_t> inodes;
  DIR* dir = ::opendir(directory.c_str());
  while (const dirent* entry = ::readdir(dir)) inodes[entry->d_name] = entry->d_ino;
  ::closedir(dir);
  return inodes;
}

// Images are filled by demand, so that nothing goes on behind a test's back.
class Attributes : public testing::Test {
 protected:
  Attributes() {
    server_.put("/image", image(1));
    mount_.emplace(MountSpec{.source = server_.url(), .options = {"fill=demand"}});
  }

  void cache() {
    ASSERT_EQ(mount_->read("image", 0, kSize), pattern_string(1, 0, kSize));
    ASSERT_TRUE(mount_->wait_state("image", "cached")) << mount_->log();
  }
  void remount(std::vector<std::string> options) {
    ASSERT_EQ(mount_->unmount(), 0);
    mount_->options() = std::move(options);
    mount_->start();
  }
  struct stat stat() {
    return stat_of(mount_->path("image"));
  }

  FaultServer server_;
  std::optional<Mounted> mount_;
};

// SEMANTICS: The size of an image is its full size from the first look-up on.
TEST_F(Attributes, TheSizeIsTheFullSizeFromTheFirstLookUpOn) {
  EXPECT_EQ(stat().st_size, static_cast<off_t>(kSize));
  UniqueFd open(::open(mount_->path("image").c_str(), O_RDONLY));
  EXPECT_EQ(::lseek(open.get(), 0, SEEK_END), static_cast<off_t>(kSize));
  EXPECT_EQ(server_.sent_bytes("/image"), 0u);
  mount_->read("image", 100'000, 10);
  EXPECT_EQ(mount_->xattr("image", "state"), "incomplete");
  EXPECT_EQ(stat().st_size, static_cast<off_t>(kSize));
  cache();
  EXPECT_EQ(stat().st_size, static_cast<off_t>(kSize));
}

TEST(SizeAttribute, IsKnownOfAnUpstreamThatKnowsNoHead) {
  FaultServer server({.head = false});
  server.put("/image", image(1));
  Mounted mount({.source = server.url(), .options = {}});
  EXPECT_EQ(stat_of(mount.path("image")).st_size, static_cast<off_t>(kSize));
}

// SEMANTICS: The inode number of a name never changes, whatever becomes of the image.
TEST_F(Attributes, TheInodeNumberOfANameNeverChanges) {
  const ino_t inode = stat().st_ino;
  mount_->read("image", 0, 10);
  ASSERT_EQ(mount_->xattr("image", "state"), "incomplete");
  EXPECT_EQ(stat().st_ino, inode);
  cache();
  EXPECT_EQ(stat().st_ino, inode);
  EXPECT_EQ(inodes_listed(mount_->path())["image"], inode);
  remount({"revalidate=1"});
  EXPECT_EQ(stat().st_ino, inode);
  server_.put("/image", image(2));  // another version
  EXPECT_TRUE(
      wait_until([&] { return mount_->read("image", 0, kSize) == pattern_string(2, 0, kSize); }));
  EXPECT_EQ(stat().st_ino, inode);
  ASSERT_TRUE(mount_->wait_state("image", "cached"));
  ASSERT_TRUE(run({built("imgcachectl"), "-c", mount_->cache_dir(), "evict", "image"}).ok());
  ASSERT_TRUE(mount_->wait_state("image", "uncached"));
  EXPECT_EQ(stat().st_ino, inode);
  EXPECT_NE(inode, stat_of(mount_->path()).st_ino);
}

// SEMANTICS: `st_blocks` says what is on disk.
TEST_F(Attributes, BlocksAreWhatIsOnDisk) {
  EXPECT_EQ(stat().st_blocks, 0);
  mount_->read("image", 0, 10);
  mount_->read("image", 1 << 20, 10);
  const off_t present = std::stoll(*mount_->xattr("image", "cached_bytes"));
  EXPECT_GT(present, 0);
  EXPECT_EQ(stat().st_blocks, (present + 511) / 512);
  remount({"fill=demand"});  // nobody has it open, and nobody had in this daemon
  const struct stat incomplete = stat_of(mount_->cache_dir() + "/incomplete/image");
  EXPECT_GE(incomplete.st_blocks * 512, present);
  EXPECT_EQ(stat().st_blocks, incomplete.st_blocks);
  cache();
  EXPECT_EQ(stat().st_blocks, stat_of(mount_->cache_dir() + "/image").st_blocks);
  EXPECT_GE(stat().st_blocks * 512, static_cast<off_t>(kSize));
}

TEST(BlocksAttribute, IsZeroOfAnImageServedAroundTheCache) {
  FaultServer server;
  server.put("/image", image(1));
  Mounted mount({.source = server.url(), .options = {"max_size=1M"}});
  UniqueFd open(::open(mount.path("image").c_str(), O_RDONLY));
  EXPECT_EQ(mount.read("image", 0, kSize), pattern_string(1, 0, kSize));
  EXPECT_EQ(stat_of(mount.path("image")).st_blocks, 0);
}

// SEMANTICS: `st_mtime` is the time an image was cached, and before that upstream's time.
TEST_F(Attributes, TheTimeIsUpstreamsUntilTheImageIsCached) {
  EXPECT_EQ(stat().st_mtime, kUpstreamTime);
  mount_->read("image", 0, 10);
  EXPECT_EQ(stat().st_mtime, kUpstreamTime);
  const time_t before = ::time(nullptr);
  cache();
  const time_t after = ::time(nullptr);
  const time_t cached = stat().st_mtime;
  EXPECT_GE(cached, before - 1);
  EXPECT_LE(cached, after);
  remount({"fill=demand"});
  EXPECT_EQ(mount_->read("image", 0, 10).size(), 10u);
  EXPECT_EQ(stat().st_mtime, cached);
}

// SEMANTICS: `statfs` shows the cache's limit and what is used of it.
TEST_F(Attributes, StatfsShowsTheLimitAndWhatIsUsed) {
  remount({"fill=demand", "max_size=64M"});
  auto statfs = [&] {
    struct statvfs st {};
    EXPECT_EQ(::statvfs(mount_->path().c_str(), &st), 0);
    return st;
  };
  const struct statvfs empty = statfs();
  EXPECT_EQ(empty.f_blocks * empty.f_frsize, 64u << 20);
  EXPECT_EQ(empty.f_bfree, empty.f_blocks);
  mount_->read("image", 0, 10);
  // Answered before it is written.
  EXPECT_TRUE(wait_until([&] { return statfs().f_bfree < empty.f_bfree; }));
  cache();
  auto used = [&] { return (statfs().f_blocks - statfs().f_bfree) * statfs().f_frsize; };
  EXPECT_TRUE(wait_until([&] { return used() >= kSize && used() < kSize + (64 << 10); })) << used();
  EXPECT_EQ(statfs().f_files, 1u);
  EXPECT_EQ(statfs().f_bavail, statfs().f_bfree);
  EXPECT_EQ(mount_->status()["max_size"], 64 << 20);
}

// SEMANTICS: The extended attribute `user.imgcachefs.state` is `uncached`, `incomplete` or
// `cached`.
TEST_F(Attributes, TheStateIsUncachedIncompleteOrCached) {
  EXPECT_EQ(mount_->xattr("image", "state"), "uncached");
  EXPECT_EQ(mount_->xattr("image", "cached_bytes"), "0");
  mount_->read("image", 0, 10);
  EXPECT_EQ(mount_->xattr("image", "state"), "incomplete");
  const int present = std::stoi(*mount_->xattr("image", "cached_bytes"));
  EXPECT_GT(present, 0);
  EXPECT_LT(present, static_cast<int>(kSize));
  remount({"fill=demand"});
  EXPECT_EQ(mount_->xattr("image", "state"), "incomplete");
  EXPECT_EQ(mount_->xattr("image", "cached_bytes"), std::to_string(present));
  cache();
  EXPECT_EQ(mount_->xattr("image", "state"), "cached");
  EXPECT_EQ(mount_->xattr("image", "cached_bytes"), std::to_string(kSize));
  ASSERT_TRUE(run({built("imgcachectl"), "-c", mount_->cache_dir(), "evict", "image"}).ok());
  EXPECT_TRUE(mount_->wait_state("image", "uncached"));
}

// SEMANTICS: Opening a cached image counts one hit, however much of it is read.
TEST_F(Attributes, EveryOpenOfACachedImageCountsOneHit) {
  EXPECT_EQ(mount_->xattr("image", "hits"), "0");
  cache();
  EXPECT_EQ(mount_->xattr("image", "hits"), "0");
  mount_->read("image", 0, kSize);
  EXPECT_EQ(mount_->xattr("image", "hits"), "1");
  mount_->read("image", 10, 1);
  { UniqueFd unread(::open(mount_->path("image").c_str(), O_RDONLY)); }
  ASSERT_TRUE(run({"dd", "if=" + mount_->path("image"), "of=/dev/null", "bs=4096"}).ok());
  EXPECT_EQ(mount_->xattr("image", "hits"), "4");
  stat();
  inodes_listed(mount_->path());
  remount({"fill=demand"});
  EXPECT_EQ(mount_->xattr("image", "hits"), "4");
  mount_->read("image", 0, 1);
  EXPECT_EQ(mount_->xattr("image", "hits"), "5");
}

}  // namespace
}  // namespace imgcachefs::test
