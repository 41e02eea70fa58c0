#include "cache/image_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

using test::read_file;

class ImageFileTest : public testing::Test {
 protected:
  ImageFileTest()
      : layout_(CacheLayout::open(scratch_.dir(), CacheLayout::Access::kDaemon).value()) {}

  std::shared_ptr<ImageFile> file_with(const std::string& text) {
    auto file = ImageFile::open_incomplete(layout_, id_).value();
    EXPECT_TRUE(posix::write_at(file->fd(), std::as_bytes(std::span(text)), 0));
    return file;
  }
  std::string content(const std::string& name) const { return read_file(scratch_.path(name)); }

  test::ScratchCache scratch_;
  CacheLayout layout_;
  const ImageId id_ = ImageId::parse("image").value();
};

TEST_F(ImageFileTest, IsCommittedOverWhatWasThereAndLosesItsMap) {
  scratch_.file("image", 10);
  scratch_.file("maps/image", 10);
  auto file = file_with("whole");
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(content("image"), "whole");
  EXPECT_FALSE(scratch_.has("incomplete/image"));
  EXPECT_FALSE(scratch_.has("maps/image"));
}

TEST_F(ImageFileTest, GoesToInvalidWhenQuarantined) {
  scratch_.file("maps/image", 10);
  auto file = file_with("wrong");
  ASSERT_TRUE(file->quarantine("image: wrong checksum"));
  EXPECT_EQ(posix::get_xattr(file->fd(), "user.error").value(), "image: wrong checksum");
  EXPECT_EQ(content("invalid/image"), "wrong");
  EXPECT_FALSE(scratch_.has("incomplete/image"));
  EXPECT_FALSE(scratch_.has("maps/image"));
}

TEST_F(ImageFileTest, ThatSomebodyReplacedIsNotTaken) {
  auto file = file_with("old");
  ASSERT_TRUE(file->discard());
  auto next = file_with("new");
  scratch_.file("maps/image", 10);  // the new one's
  EXPECT_EQ(file->commit().error().kind, ErrorKind::kStale);
  EXPECT_EQ(file->quarantine("").error().kind, ErrorKind::kStale);
  EXPECT_EQ(file->discard().error().kind, ErrorKind::kStale);
  EXPECT_EQ(content("incomplete/image"), "new");
  EXPECT_TRUE(scratch_.has("maps/image"));
  EXPECT_FALSE(scratch_.has("image"));
  EXPECT_FALSE(scratch_.has("invalid/image"));
}

TEST_F(ImageFileTest, IsCommittedWhateverBecomesOfItsMap) {
  std::filesystem::create_directories(scratch_.path("maps/image"));  // cannot be unlinked
  auto file = file_with("whole");
  EXPECT_TRUE(file->commit());
  EXPECT_EQ(content("image"), "whole");
}

TEST_F(ImageFileTest, HoldsALockThatACleanerSees) {
  auto file = file_with("x");
  UniqueFd cleaner(::open(scratch_.path("incomplete/image").c_str(), O_RDONLY));
  EXPECT_EQ(posix::try_lock(cleaner.get(), posix::LockMode::kExclusive).error().kind,
            ErrorKind::kBusy);
  file.reset();
  EXPECT_TRUE(posix::try_lock(cleaner.get(), posix::LockMode::kExclusive));
}

TEST_F(ImageFileTest, IsNotOpenedThroughASymlink) {
  std::ofstream(scratch_.root() / "outside") << "mine";
  std::filesystem::create_symlink(scratch_.root() / "outside", scratch_.path("incomplete/image"));
  EXPECT_FALSE(ImageFile::open_incomplete(layout_, id_));
  EXPECT_EQ(read_file(scratch_.root() / "outside"), "mine");
}

}  // namespace
}  // namespace imgcachefs
