// What a mount shows of its images (DESIGN 2.2), with a real nginx behind it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/posix.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"

namespace imgcachefs::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr size_t kSize = (3 << 20) + 123;

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.push_back(entry.path().filename());
  return names;
}

class ShownFiles : public testing::Test {
 protected:
  ShownFiles() : bytes_(pattern_string(7, 0, kSize)) {
    images_.write("image", bytes_);
    nginx_.emplace(images_.path(), NginxOptions{.autoindex = "json"});
    mount_.emplace(MountSpec{.source = nginx_->url(), .options = {}});
  }

  TempDir images_;
  const std::string bytes_;
  std::optional<Nginx> nginx_;
  std::optional<Mounted> mount_;
};

TEST_F(ShownFiles, AppearWhenUpstreamHasThemAndNotOtherwise) {
  EXPECT_THAT(names_in(mount_->path()), IsEmpty());
  EXPECT_EQ(mount_->read_errno("no-such"), ENOENT);
  EXPECT_EQ(mount_->read_errno(".."), EISDIR);
  EXPECT_EQ(mount_->read_errno("queue"), ENOENT);  // a name of the cache directory's own
  struct stat st;
  ASSERT_EQ(::stat(mount_->path("image").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode, S_IFREG | 0444u);
  EXPECT_EQ(st.st_size, static_cast<off_t>(kSize));
  EXPECT_EQ(st.st_blocks, 0);
  EXPECT_EQ(st.st_nlink, 1u);
  EXPECT_EQ(mount_->xattr("image", "state"), "uncached");
  EXPECT_EQ(nginx_->sent_bytes("/image"), 0u);
}

TEST_F(ShownFiles, AreReadRightColdAndWarmInEveryWay) {
  EXPECT_EQ(mount_->read("image", 1'000'000, 5000), bytes_.substr(1'000'000, 5000));
  EXPECT_EQ(mount_->read("image", kSize - 10, 5000), bytes_.substr(kSize - 10));
  EXPECT_EQ(mount_->read("image", kSize + 10, 5000), "");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(mount_->read_all("image"), bytes_);
    EXPECT_EQ(
        run({"dd", "if=" + mount_->path("image"), "bs=1M", "iflag=direct", "status=none"}).out,
        bytes_);
    UniqueFd fd(::open(mount_->path("image").c_str(), O_RDONLY));
    void* mapped = ::mmap(nullptr, kSize, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    ASSERT_NE(mapped, MAP_FAILED);
    EXPECT_EQ(std::string_view(static_cast<char*>(mapped), kSize), bytes_);
    ::munmap(mapped, kSize);
    EXPECT_TRUE(mount_->wait_state("image", "cached"));
  }
  EXPECT_EQ(nginx_->sent_bytes("/image"), kSize);
}

TEST_F(ShownFiles, KeepTheirInodeNumberWhenTheyBecomeCached) {
  struct stat before, after;
  UniqueFd fd(::open(mount_->path("image").c_str(), O_RDONLY));
  ASSERT_EQ(::fstat(fd.get(), &before), 0);
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  ASSERT_TRUE(mount_->wait_state("image", "cached"));
  ASSERT_EQ(::stat(mount_->path("image").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
  EXPECT_GE(after.st_blocks * 512, static_cast<blkcnt_t>(kSize));
  // Who opened it before goes on undisturbed.
  std::string again(kSize, '\0');
  EXPECT_EQ(::pread(fd.get(), again.data(), kSize, 0), static_cast<ssize_t>(kSize));
  EXPECT_EQ(again, bytes_);
  EXPECT_THAT(names_in(mount_->path()), ElementsAre("image"));
}

TEST_F(ShownFiles, HaveTheAttributesOfTheContract) {
  EXPECT_EQ(mount_->read_all("image"), bytes_);
  ASSERT_TRUE(mount_->wait_state("image", "cached"));
  EXPECT_EQ(mount_->xattr("image", "cached_bytes"), std::to_string(kSize));
  EXPECT_EQ(mount_->xattr("image", "pinned"), "0");
  EXPECT_EQ(mount_->xattr("image", "error"), std::nullopt);
  EXPECT_THAT(*mount_->xattr("image", "last_accessed"), testing::MatchesRegex("[0-9-]+T[0-9:]+Z"));
  EXPECT_EQ(mount_->xattr("", "source"), nginx_->url());
  EXPECT_EQ(mount_->xattr("", "cache_dir"), mount_->cache_dir());
  EXPECT_TRUE(mount_->xattr("", "version"));

  // The sizes a caller may give, as getxattr(2) has them.
  const std::string file = mount_->path("image");
  char small[3];
  EXPECT_EQ(::getxattr(file.c_str(), "user.imgcachefs.state", nullptr, 0), 6);
  EXPECT_EQ(::getxattr(file.c_str(), "user.imgcachefs.state", small, sizeof small), -1);
  EXPECT_EQ(errno, ERANGE);
  EXPECT_EQ(::getxattr(file.c_str(), "user.imgcachefs.other", small, sizeof small), -1);
  EXPECT_EQ(errno, ENODATA);
  EXPECT_EQ(::listxattr(file.c_str(), small, sizeof small), -1);
  EXPECT_EQ(errno, ERANGE);
  std::string names(static_cast<size_t>(::listxattr(file.c_str(), nullptr, 0)), '\0');
  ASSERT_EQ(::listxattr(file.c_str(), names.data(), names.size()),
            static_cast<ssize_t>(names.size()));
  EXPECT_THAT(names, HasSubstr(std::string("user.imgcachefs.state\0", 22)));
}

// SEMANTICS: Every attempt to change anything fails with EROFS.
TEST_F(ShownFiles, CannotBeChanged) {
  const std::string file = mount_->path("image");
  const std::string other = mount_->path("other");
  auto refused = [](int result) { return result == -1 && errno == EROFS; };
  for (bool writable : {false, true}) {
    // Root can take the kernel's own refusal away: then it is ours.
    if (writable && ::mount(nullptr, mount_->path().c_str(), nullptr,
                            MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV, nullptr) != 0)
      break;
    EXPECT_TRUE(refused(::open(file.c_str(), O_RDWR))) << errno;
    EXPECT_TRUE(refused(::open(file.c_str(), O_WRONLY | O_TRUNC))) << errno;
    EXPECT_TRUE(refused(::open(other.c_str(), O_CREAT | O_RDWR, 0600))) << errno;
    EXPECT_TRUE(refused(::unlink(file.c_str()))) << errno;
    EXPECT_TRUE(refused(::mkdir(other.c_str(), 0700))) << errno;
    EXPECT_TRUE(refused(::rename(file.c_str(), other.c_str()))) << errno;
    EXPECT_TRUE(refused(::link(file.c_str(), other.c_str()))) << errno;
    EXPECT_TRUE(refused(::symlink("x", other.c_str()))) << errno;
    EXPECT_TRUE(refused(::chmod(file.c_str(), 0600))) << errno;
    EXPECT_TRUE(refused(::chown(file.c_str(), 1, 1))) << errno;
    EXPECT_TRUE(refused(::mknod(other.c_str(), S_IFREG | 0600, 0))) << errno;
    EXPECT_TRUE(refused(::rmdir(mount_->path(".imgcachefs").c_str()))) << errno;
    EXPECT_TRUE(refused(::unlink(mount_->path(".imgcachefs/status").c_str()))) << errno;
    EXPECT_TRUE(refused(::open(mount_->path(".imgcachefs/status").c_str(), O_WRONLY))) << errno;
    EXPECT_TRUE(refused(::chmod(mount_->path().c_str(), 0700))) << errno;
    EXPECT_TRUE(refused(::truncate(file.c_str(), 0))) << errno;
    EXPECT_TRUE(refused(::utimensat(AT_FDCWD, file.c_str(), nullptr, 0))) << errno;
    EXPECT_TRUE(refused(::setxattr(file.c_str(), "user.x", "y", 1, 0))) << errno;
    EXPECT_TRUE(refused(::removexattr(file.c_str(), "user.imgcachefs.state"))) << errno;
  }
}

TEST_F(ShownFiles, AnswerSeeksForDataAndHoles) {
  const off_t size = kSize;
  for (bool cached : {false, true}) {
    UniqueFd fd(::open(mount_->path("image").c_str(), O_RDONLY));
    EXPECT_EQ(::lseek(fd.get(), 1000, SEEK_DATA), 1000) << cached;
    EXPECT_EQ(::lseek(fd.get(), 1000, SEEK_HOLE), size) << cached;
    EXPECT_EQ(::lseek(fd.get(), size, SEEK_DATA), -1);
    EXPECT_EQ(errno, ENXIO);
    EXPECT_EQ(::lseek(fd.get(), 0, SEEK_END), size);
    EXPECT_EQ(mount_->read_all("image"), bytes_);
    ASSERT_TRUE(mount_->wait_state("image", "cached"));
  }
}

TEST_F(ShownFiles, CountAgainstTheLimitThatStatfsShows) {
  struct statvfs before, after;
  ASSERT_EQ(::statvfs(mount_->path().c_str(), &before), 0);
  EXPECT_EQ(before.f_frsize, 4096u);
  EXPECT_LE(before.f_blocks, (10ull << 30) / 4096);
  mount_->read_all("image");
  ASSERT_TRUE(mount_->wait_state("image", "cached"));
  ASSERT_EQ(::statvfs(mount_->path().c_str(), &after), 0);
  EXPECT_GE(before.f_bfree - after.f_bfree, kSize / 4096);
  EXPECT_EQ(after.f_files, 1u);
}

TEST_F(ShownFiles, HaveAHiddenDirectoryBesideThem) {
  EXPECT_THAT(names_in(mount_->path()), IsEmpty());
  EXPECT_THAT(names_in(mount_->path(".imgcachefs")), UnorderedElementsAre("metrics", "status"));
  mount_->read_all("image");
  ASSERT_TRUE(mount_->wait_state("image", "cached"));
  auto status = mount_->status();
  EXPECT_EQ(status["images"]["cached"], 1);
  EXPECT_EQ(status["source"], nginx_->url());
  EXPECT_GE(status["upstream"]["bytes"], kSize);
  EXPECT_THAT(mount_->metrics(), HasSubstr("imgcachefs_cache_images{state=\"cached\"} 1\n"));
  EXPECT_EQ(mount_->read_errno(".imgcachefs/other"), ENOENT);
}

TEST_F(ShownFiles, ListUpstreamsCatalogueWhenAsked) {
  mount_->unmount();
  mount_->options() = {"list=all"};
  mount_->start();
  EXPECT_THAT(names_in(mount_->path()), ElementsAre("image"));
  EXPECT_EQ(nginx_->sent_bytes("/image"), 0u);
}

}  // namespace
}  // namespace imgcachefs::test
