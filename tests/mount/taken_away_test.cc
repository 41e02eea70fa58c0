// A cached file that another program moves away or replaces, while it is open and while the kernel
// still believes what it was told of its name.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/posix.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/process.h"
#include "support/program.h"

namespace imgcachefs::test {
namespace {

namespace files = std::filesystem;

constexpr size_t kSize = (2 << 20) + 77;

// With the kernel's page cache, or with the file itself (passthrough).
class TakenAway : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    server_.put("/image", Content::of(right_));
    server_.put("/SHA256SUMS", Content::of(sums_line("image", right_)));
    mount_.emplace(MountSpec{.source = server_.url(), .options = {"retries=1", GetParam()}});
    ASSERT_TRUE(read().bytes == right_);
    ASSERT_EQ(mount_->xattr("image", "state"), "cached");
  }
  UniqueFd open() const { return UniqueFd(::open(mount_->path("image").c_str(), O_RDONLY)); }
  Got read() const { return read_path(mount_->path("image")); }
  files::path cached(const std::string& name) const {
    return files::path(mount_->cache_dir()) / name;
  }
  ino_t inode_now() const {
    struct stat st {};
    EXPECT_EQ(::stat(cached("image").c_str(), &st), 0);
    return st.st_ino;
  }
  // The kernel has asked for the name just now, and has bytes of it.
  UniqueFd opened_and_believed() const {
    UniqueFd fd = open();
    EXPECT_TRUE(read_fd(fd.get(), {.begin = 0, .end = 1 << 20}).bytes == right_.substr(0, 1 << 20));
    struct stat st {};
    EXPECT_EQ(::stat(mount_->path("image").c_str(), &st), 0);
    return fd;
  }

  const std::string right_ = pattern_string(1, 0, kSize);
  FaultServer server_;
  std::optional<Mounted> mount_;
};

TEST_P(TakenAway, WhatVerifyMovedToInvalidIsNotOpenedAgain) {
  for (int round = 0; round < 3; ++round) {  // before, and in the middle of, what is believed
    UniqueFd fd = opened_and_believed();
    {
      std::fstream file(cached("image"), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(kSize) - 5);
      file.put(static_cast<char>(~right_[kSize - 5]));
    }
    const CommandResult verify =
        run({built("imgcachectl"), "-c", mount_->cache_dir(), "verify", "image"});
    ASSERT_EQ(verify.exit_code, 4) << verify.describe();
    // At once: well within the second for which the kernel believes the name.
    UniqueFd fresh = open();
    ASSERT_TRUE(fresh);
    EXPECT_TRUE(files::exists(cached("invalid/image")));
    EXPECT_TRUE(read_fd(fresh.get(), {}).bytes == right_);
    EXPECT_TRUE(read().bytes == right_);
    EXPECT_EQ(mount_->xattr("image", "verified"), "1");
    // Who has the old file open has all of it still: his version, the harmed end included.
    const Got old = read_fd(fd.get(), {});
    EXPECT_EQ(old.error, 0);
    EXPECT_EQ(old.bytes.size(), kSize);
    EXPECT_TRUE(old.bytes.substr(0, 1 << 20) == right_.substr(0, 1 << 20));
  }
}

TEST_P(TakenAway, AFileThatIsPutInItsPlaceIsTheOneThatIsOpened) {
  for (int round = 0; round < 3; ++round) {
    UniqueFd fd = opened_and_believed();
    const ino_t before = inode_now();
    // Of the same size, and with the same bytes up to its end: pages of the old one would show.
    std::string other = right_;
    other[kSize - 1] = static_cast<char>('0' + round);
    other[5] = static_cast<char>('0' + round);
    std::ofstream(cached("other"), std::ios::binary) << other;
    files::rename(cached("other"), cached("image"));
    ASSERT_NE(inode_now(), before);
    UniqueFd fresh = open();
    ASSERT_TRUE(fresh);
    EXPECT_TRUE(read_fd(fresh.get(), {}).bytes == other);
    EXPECT_TRUE(read_fd(fd.get(), {.begin = 0, .end = 1 << 20}).bytes == right_.substr(0, 1 << 20));
    files::remove(cached("image"));
    EXPECT_TRUE(read().bytes == right_);  // fetched anew
  }
}

INSTANTIATE_TEST_SUITE_P(Both, TakenAway, testing::Values("passthrough=auto", "passthrough=off"),
                         [](const auto& info) { return std::string(info.param).substr(12); });

}  // namespace
}  // namespace imgcachefs::test
