#include "base/posix.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using testing::HasSubstr;
using testing::UnorderedElementsAre;

size_t open_descriptors() {
  return static_cast<size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

class Posix : public testing::Test {
 protected:
  test::TempDir temp_;
  UniqueFd dir_ = posix::open_at(AT_FDCWD, temp_.path().string(), O_RDONLY | O_DIRECTORY).value();
};

TEST_F(Posix, ADescriptorIsClosedOnceByItsLastOwner) {
  const size_t before = open_descriptors();
  {
    UniqueFd a = posix::open_at(dir_.get(), "f", O_RDWR | O_CREAT).value();
    EXPECT_EQ(::fcntl(a.get(), F_GETFD), FD_CLOEXEC);
    UniqueFd b = std::move(a);
    EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move): what is left is part of the contract
    UniqueFd c;
    c = std::move(b);
    UniqueFd& self = c;
    c = std::move(self);
    EXPECT_TRUE(c);
    EXPECT_EQ(open_descriptors(), before + 1);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(Posix, ErrorsNameWhatTheyAreAbout) {
  auto none = posix::open_at(dir_.get(), "nothing", O_RDONLY);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(none.error().sys_errno, ENOENT);
  EXPECT_THAT(none.error().message, HasSubstr("nothing"));
  EXPECT_EQ(system_error("x", ENOSPC).kind, ErrorKind::kNoSpace);
  EXPECT_EQ(system_error("x", EDQUOT).kind, ErrorKind::kNoSpace);
  EXPECT_EQ(system_error("x", EACCES).kind, ErrorKind::kIo);
}

TEST_F(Posix, WritesAndReadsAtOffsets) {
  UniqueFd fd = posix::open_at(dir_.get(), "f", O_RDWR | O_CREAT).value();
  ASSERT_TRUE(posix::write_at(fd.get(), bytes("world"), 6));
  ASSERT_TRUE(posix::write_at(fd.get(), bytes("hello "), 0));
  std::string text(20, '?');
  EXPECT_EQ(posix::read_at(fd.get(), std::as_writable_bytes(std::span(text)), 2).value(), 9u);
  EXPECT_EQ(text.substr(0, 9), "llo world");
  EXPECT_EQ(posix::read_at(fd.get(), std::as_writable_bytes(std::span(text)), 11).value(), 0u);
  EXPECT_EQ(posix::read_file_at(dir_.get(), "f").value(), "hello world");
  EXPECT_FALSE(posix::read_file_at(dir_.get(), "f", 10));
}

TEST_F(Posix, AFullDiskIsNoSpace) {
  UniqueFd full = posix::open_at(AT_FDCWD, "/dev/full", O_WRONLY).value();
  auto written = posix::write_at(full.get(), bytes("x"), 0);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().kind, ErrorKind::kNoSpace);
}

TEST_F(Posix, StatDoesNotFollowLinks) {
  ASSERT_EQ(::symlinkat("/", dir_.get(), "link"), 0);
  EXPECT_TRUE(S_ISLNK(posix::stat_at(dir_.get(), "link")->st_mode));
}

TEST_F(Posix, RenamesAndUnlinksAndMakesDirectories) {
  temp_.write("f", "text");
  ASSERT_TRUE(posix::make_dir_at(dir_.get(), "sub", 0700));
  ASSERT_TRUE(posix::make_dir_at(dir_.get(), "sub", 0700));  // an existing one is no error
  UniqueFd sub = posix::open_at(dir_.get(), "sub", O_RDONLY | O_DIRECTORY).value();
  ASSERT_TRUE(posix::rename_at(dir_.get(), "f", sub.get(), "g"));
  ASSERT_TRUE(posix::sync_all(sub.get()));
  EXPECT_EQ(posix::read_file_at(sub.get(), "g").value(), "text");
  ASSERT_TRUE(posix::unlink_at(sub.get(), "g"));
  EXPECT_EQ(posix::unlink_at(sub.get(), "g").error().kind, ErrorKind::kNotFound);
}

TEST_F(Posix, PunchesHolesAndTruncates) {
  UniqueFd fd = posix::open_at(dir_.get(), "f", O_RDWR | O_CREAT).value();
  ASSERT_TRUE(posix::write_at(fd.get(), bytes(std::string(64 << 10, 'x')), 0));
  ASSERT_TRUE(posix::punch_hole(fd.get(), 0, 32 << 10));
  ASSERT_TRUE(posix::sync_data(fd.get()));
  EXPECT_EQ(posix::stat_fd(fd.get())->st_size, 64 << 10);
  std::byte first{1};
  ASSERT_TRUE(posix::read_at(fd.get(), std::span(&first, 1), 0));
  EXPECT_EQ(first, std::byte{0});
  ASSERT_TRUE(posix::truncate(fd.get(), 10));
  EXPECT_EQ(posix::stat_fd(fd.get())->st_size, 10);
}

TEST_F(Posix, LocksAreSharedOrNot) {
  temp_.write("f", "");
  auto open = [&] { return posix::open_at(dir_.get(), "f", O_RDONLY).value(); };
  UniqueFd a = open(), b = open(), c = open();
  using posix::LockMode;
  EXPECT_TRUE(posix::try_lock(a.get(), LockMode::kShared));
  EXPECT_TRUE(posix::try_lock(b.get(), LockMode::kShared));
  EXPECT_EQ(posix::try_lock(c.get(), LockMode::kExclusive).error().kind, ErrorKind::kBusy);
  a.reset();
  b.reset();
  EXPECT_TRUE(posix::try_lock(c.get(), LockMode::kExclusive));
}

TEST_F(Posix, AListingEndsWithTheFirstFailure) {
  temp_.write("a", "");
  temp_.write("b", "");
  int seen = 0;
  const auto status = posix::each_entry(dir_.get(), [&](const posix::DirEntry&) -> Status {
    ++seen;
    return fail(ErrorKind::kCancelled, "enough");
  });
  EXPECT_EQ(status.error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(seen, 1);
}

TEST_F(Posix, ListsADirectoryAsOftenAsAsked) {
  temp_.write("f", "");
  ASSERT_TRUE(posix::make_dir_at(dir_.get(), "d", 0700));
  const size_t before = open_descriptors();
  for (int i = 0; i < 2; ++i) {
    std::vector<std::string> names;
    EXPECT_TRUE(posix::each_entry(dir_.get(), [&](const posix::DirEntry& entry) -> Status {
      names.push_back(entry.name);
      EXPECT_EQ(entry.type, entry.name == "d" ? DT_DIR : DT_REG);
      return {};
    }));
    EXPECT_THAT(names, UnorderedElementsAre("f", "d"));
  }
  EXPECT_EQ(open_descriptors(), before);
  const auto none = [](const posix::DirEntry&) -> Status { return {}; };
  EXPECT_FALSE(posix::each_entry(-1, none));
}

}  // namespace
}  // namespace imgcachefs
