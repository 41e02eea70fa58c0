// The index of a real mount: what its driver leaves on the files, and times that are right however
// the file system below is mounted.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "base/posix.h"
#include "base/units.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"
#include "support/small_file_system.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr uint64_t kSize = 2 << 20;

class IndexOfAMount : public testing::Test {
 protected:
  IndexOfAMount() : bytes_(pattern_string(3, 0, kSize)) { images_.write("image", bytes_); }

  void mount(const std::string& driver, const std::string& cache_dir = {}) {
    nginx_.emplace(images_.path());
    mount_.emplace(MountSpec{.source = nginx_->url(),
                             .options = {"driver=" + driver},
                             .arguments = {},
                             .env = {},
                             .cache_dir = cache_dir});
  }
  std::string file() const { return mount_->cache_dir() + "/image"; }
  std::string hits() const {
    UniqueFd fd(::open(file().c_str(), O_RDONLY | O_CLOEXEC));
    return posix::get_xattr(fd.get(), "user.hits").value().value_or("none");
  }
  WallTime accessed() const { return wall_time(posix::stat_at(AT_FDCWD, file())->st_atim); }
  WallTime modified() const { return wall_time(posix::stat_at(AT_FDCWD, file())->st_mtim); }
  // So long ago that every mount option but noatime would have a read move it.
  void make_old() const {
    const struct timespec times[2] = {to_timespec(modified() - 72h), {0, UTIME_OMIT}};
    ASSERT_EQ(::utimensat(AT_FDCWD, file().c_str(), times, 0), 0);
  }

  const std::string bytes_;
  TempDir images_;
  std::optional<Nginx> nginx_;
  std::optional<Mounted> mount_;
};

class IndexTimes : public IndexOfAMount, public testing::WithParamInterface<const char*> {};

TEST_P(IndexTimes, LastAccessedMovesWithHitsAndOnlyWithHits) {
  SmallFileSystem disk("ext4", GetParam());
  mount("xattr", disk.cache_dir());
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  EXPECT_EQ(hits(), "0");
  EXPECT_EQ(mount_->status()["driver"], "xattr");
  const WallTime cached_at = modified();

  make_old();
  UniqueFd open_image(
      ::open(mount_->path("image").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));  // a hit
  ASSERT_TRUE(open_image);
  EXPECT_TRUE(wait_until([&] { return hits() == "1"; }));
  EXPECT_TRUE(wait_until([&] { return accessed() >= cached_at; }));
  EXPECT_EQ(modified(), cached_at);
  EXPECT_EQ(mount_->xattr("image", "hits"), "1");

  // The reads of an image that is open are no hits.
  make_old();
  const WallTime old = accessed();
  std::unique_ptr<void, decltype(&std::free)> buffer(std::aligned_alloc(4096, kSize), &std::free);
  ASSERT_EQ(::pread(open_image.get(), buffer.get(), kSize, 0), static_cast<ssize_t>(kSize));
  EXPECT_EQ(std::string(static_cast<char*>(buffer.get()), kSize), bytes_);
  EXPECT_EQ(accessed(), old);
  open_image.reset();
  mount_.reset();
}

INSTANTIATE_TEST_SUITE_P(MountOptions, IndexTimes,
                         testing::Values("noatime", "relatime", "strictatime"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(IndexOfAMount, HitsPinsAndTheSourceOutliveAChangeOfTheDriver) {
  mount("sqlite");
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  EXPECT_TRUE(wait_until([&] { return mount_->xattr("image", "hits") == "1"; }));
  EXPECT_EQ(mount_->unmount(), 0);
  mount_->options() = {"driver=xattr"};
  mount_->start();
  EXPECT_EQ(mount_->status()["driver"], "xattr");
  EXPECT_EQ(mount_->xattr("image", "hits"), "1");
  EXPECT_EQ(mount_->xattr("image", "verified"), "0");  // nginx publishes no checksum
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  EXPECT_THAT(mount_->log(), HasSubstr("cache.db.replaced"));
  EXPECT_EQ(mount_->unmount(), 0);
  EXPECT_EQ(hits(), "2");
  // imgcachectl asks the driver that the directory has.
  const CommandResult listed =
      run({built("imgcachectl"), "-c", mount_->cache_dir(), "--json", "list"});
  ASSERT_TRUE(listed.ok()) << listed.describe();
  EXPECT_EQ(nlohmann::json::parse(listed.out)[0]["hits"], 2);
  mount_->options() = {"driver=sqlite"};
  mount_->start();
  EXPECT_EQ(mount_->status()["driver"], "sqlite");
  EXPECT_EQ(mount_->xattr("image", "hits"), "2");
}

TEST_F(IndexOfAMount, AnUnknownDriverIsSqliteWithAWarning) {
  mount("centralized_db");
  EXPECT_EQ(mount_->status()["driver"], "sqlite");
  EXPECT_THAT(mount_->log(), HasSubstr("driver=centralized_db"));
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  EXPECT_EQ(hits(), "0");  // for the day on which the directory has Glance's xattr driver
}

}  // namespace
}  // namespace imgcachefs::test
