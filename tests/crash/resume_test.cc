// kill -9 in the middle of a fill: what was fetched is not fetched again, and what comes out is
// right.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <iostream>

#include "base/posix.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"
#include "support/program.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
namespace files = std::filesystem;

constexpr uint64_t kMiB = 1 << 20;

class Resume : public testing::Test {
 protected:
  Resume() {
    images_.write("image", bytes_);
    images_.write("SHA256SUMS", sums_line("image", bytes_));
  }
  bool has(const std::string& file) const {
    return files::exists(mount_->cache_dir() + "/" + file);
  }
  uint64_t cached_bytes() const {
    return std::stoull(mount_->xattr("image", "cached_bytes").value_or("0"));
  }

  // What nginx sent of the image. It writes its log a moment after the last byte is out.
  uint64_t sent_once_over(uint64_t least) const {
    EXPECT_TRUE(wait_until([&] { return nginx_->sent_bytes("/image") >= least; }));
    return nginx_->sent_bytes("/image");
  }

  TempDir images_;
  const std::string bytes_ = pattern_string(11, 0, 24 * kMiB + 1000);
  std::optional<Nginx> nginx_;
  std::optional<Mounted> mount_;
};

// SEMANTICS: A fill that was interrupted, by a crash too, is taken up where its saved map says.
TEST_F(Resume, AfterKillFetchesAgainWhatASecondBroughtAtMost) {
  // A limit of nginx's is one for each request, with a second's worth at once.
  constexpr uint64_t kRate = 4 * kMiB;
  nginx_.emplace(images_.path());
  mount_.emplace(MountSpec{.source = nginx_->url(), .options = {"fill=full", "limit_rate=4M"}});
  UniqueFd fd(::open(mount_->path("image").c_str(), O_RDONLY));
  ASSERT_TRUE(read_fd(fd.get(), {.end = 4096}).bytes == bytes_.substr(0, 4096));
  ASSERT_TRUE(wait_until([&] { return cached_bytes() > 15 * kMiB; }));
  const uint64_t before = cached_bytes();
  ASSERT_LT(before, bytes_.size());
  mount_->kill9();
  EXPECT_FALSE(has("image"));
  mount_->start();
  EXPECT_EQ(mount_->xattr("image", "state"), "incomplete");
  const uint64_t known = cached_bytes();
  EXPECT_GT(known, 0u);
  EXPECT_LE(known, bytes_.size());
  EXPECT_TRUE(mount_->read_all("image") == bytes_);
  EXPECT_TRUE(has("image"));
  EXPECT_EQ(mount_->xattr("image", "verified"), "1");
  // The log has a request when it is over, one that was cut when nginx noticed.
  const uint64_t again = sent_once_over(bytes_.size()) - bytes_.size();
  std::cout << "present at the kill: " << before << ", known after it: " << known
            << ", fetched again: " << again << "\n";
  RecordProperty("fetched_again", static_cast<int>(again));
  // A second and a half at the rate, and the segments that were under way.
  EXPECT_LE(again, kRate * 3 / 2 + 2 * kMiB);
}

TEST_F(Resume, AfterKillOfAnImageWithoutRangesIsRight) {
  nginx_.emplace(images_.path(), NginxOptions{.ranges = false, .limit_rate = 8 * kMiB});
  mount_.emplace(MountSpec{.source = nginx_->url(), .options = {"fill=full"}});
  {
    UniqueFd fd(::open(mount_->path("image").c_str(), O_RDONLY));
    ASSERT_TRUE(read_fd(fd.get(), {.end = 4096}).bytes == bytes_.substr(0, 4096));
    ASSERT_TRUE(wait_until([&] { return has("maps/image"); }));
    mount_->kill9();
  }
  mount_->start();
  EXPECT_TRUE(mount_->read_all("image") == bytes_);
  EXPECT_TRUE(has("image"));
  EXPECT_EQ(mount_->xattr("image", "verified"), "1");
}

TEST_F(Resume, AfterACleanEndFetchesNothingAgain) {
  nginx_.emplace(images_.path());
  mount_.emplace(MountSpec{.source = nginx_->url(), .options = {"fill=demand"}});
  ASSERT_TRUE(mount_->read("image", 3 * kMiB, 5 * kMiB) == bytes_.substr(3 * kMiB, 5 * kMiB));
  EXPECT_EQ(mount_->unmount(), 0);
  mount_->start();
  EXPECT_TRUE(mount_->read_all("image") == bytes_);
  EXPECT_EQ(sent_once_over(bytes_.size()), bytes_.size());
}

TEST_F(Resume, AfterKillGoesOnWithAnotherChunkSizeAsked) {
  nginx_.emplace(images_.path());
  mount_.emplace(MountSpec{.source = nginx_->url(), .options = {"fill=demand"}});
  ASSERT_TRUE(mount_->read("image", 0, 8 * kMiB) == bytes_.substr(0, 8 * kMiB));
  EXPECT_EQ(mount_->unmount(), 0);
  for (const char* chunk : {"chunk_size=4K", "chunk_size=8M"}) {
    mount_->options() = {"fill=demand", chunk};
    mount_->start();
    ASSERT_TRUE(mount_->read("image", 7 * kMiB, 2 * kMiB) == bytes_.substr(7 * kMiB, 2 * kMiB));
    EXPECT_EQ(mount_->unmount(), 0);
  }
  mount_->start();
  EXPECT_TRUE(mount_->read_all("image") == bytes_);
  EXPECT_EQ(mount_->xattr("image", "verified"), "1");
  EXPECT_EQ(sent_once_over(bytes_.size()), bytes_.size());
}

TEST_F(Resume, AfterTheImageChangedTakesNothingOfTheOldVersion) {
  FaultServer server;
  server.put("/image", Content::of(bytes_));
  mount_.emplace(MountSpec{.source = server.url(), .options = {"fill=demand"}});
  ASSERT_TRUE(mount_->read("image", 0, 8 * kMiB) == bytes_.substr(0, 8 * kMiB));
  ASSERT_TRUE(wait_until([&] { return has("maps/image"); }));
  mount_->kill9();
  const std::string changed = pattern_string(12, 0, bytes_.size());
  server.put("/image", Content::of(changed));
  mount_->start();
  EXPECT_EQ(mount_->xattr("image", "state"), "uncached");
  EXPECT_TRUE(mount_->read("image", 7 * kMiB, 2 * kMiB) == changed.substr(7 * kMiB, 2 * kMiB));
  EXPECT_TRUE(mount_->read_all("image") == changed);
}

TEST_F(Resume, RightAfterTheReadEndedTheImageIsThere) {
  nginx_.emplace(images_.path());
  uint64_t rounds = 0;
  for (const char* fill : {"fill=auto", "fill=demand", "fill=full"}) {
    mount_.emplace(MountSpec{.source = nginx_->url(), .options = {fill}});
    const Got got = read_path(mount_->path("image"));
    mount_->kill9();
    EXPECT_TRUE(got.bytes == bytes_);
    EXPECT_TRUE(read_file(mount_->cache_dir() + "/image") == bytes_) << fill;
    const uint64_t sent = sent_once_over(++rounds * bytes_.size());
    mount_->start();
    EXPECT_EQ(mount_->xattr("image", "state"), "cached") << fill;
    EXPECT_TRUE(mount_->read_all("image") == bytes_) << fill;
    EXPECT_EQ(nginx_->sent_bytes("/image"), sent) << fill;
  }
}

}  // namespace
}  // namespace imgcachefs::test
