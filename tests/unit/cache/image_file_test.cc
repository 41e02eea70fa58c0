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

  // Of an image that is just that.
  std::shared_ptr<ImageFile> file_with(const std::string& text) {
    uint64_t freed = 0;
    auto file = ImageFile::begin(layout_, id_, text.size(), freed).value();
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
  std::filesystem::remove(scratch_.path("incomplete/image"));
  auto next = file_with("new");
  scratch_.file("maps/image", 10);  // the new one's
  EXPECT_EQ(file->commit().error().kind, ErrorKind::kStale);
  EXPECT_EQ(file->quarantine("").error().kind, ErrorKind::kStale);
  EXPECT_EQ(file->discard().error().kind, ErrorKind::kStale);
  EXPECT_EQ(content("incomplete/image"), std::string("new\0", 4));  // with its tail
  EXPECT_TRUE(scratch_.has("maps/image"));
  EXPECT_FALSE(scratch_.has("image"));
  EXPECT_FALSE(scratch_.has("invalid/image"));
}

// What Glance does when it begins to fill: open('wb').
TEST_F(ImageFileTest, ThatAnotherProgramTruncatedIsNeitherCommittedNorTakenAway) {
  auto file = file_with("whole");
  EXPECT_TRUE(file->intact());
  std::ofstream glance(scratch_.path("incomplete/image"), std::ios::binary | std::ios::trunc);
  glance << "who" << std::flush;
  EXPECT_FALSE(file->intact());
  // Our writes, and all of the other's, do not hide it.
  ASSERT_TRUE(posix::write_at(file->fd(), std::as_bytes(std::span("e", 1)), 4));
  EXPECT_FALSE(file->intact());
  EXPECT_EQ(file->commit().error().kind, ErrorKind::kStale);
  EXPECT_EQ(file->quarantine("").error().kind, ErrorKind::kStale);
  EXPECT_EQ(file->discard().error().kind, ErrorKind::kStale);
  EXPECT_FALSE(scratch_.has("image"));
  EXPECT_FALSE(scratch_.has("invalid/image"));
  glance << "le" << std::flush;
  EXPECT_EQ(content("incomplete/image"), "whole");
}

TEST_F(ImageFileTest, LosesItsTailWhenItIsCommittedOrQuarantined) {
  auto file = file_with("whole");
  EXPECT_EQ(std::filesystem::file_size(scratch_.path("incomplete/image")), 5 + kIncompleteTail);
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(content("image"), "whole");
  EXPECT_FALSE(scratch_.has("maps/image"));
  auto wrong = file_with("wrong");
  ASSERT_TRUE(wrong->quarantine("wrong"));
  EXPECT_EQ(content("invalid/image"), "wrong");
}

TEST_F(ImageFileTest, AnotherProgramsFileIsToldByItsTimeAndByWhatOursHave) {
  const auto free = [&] { return ImageFile::check_free(layout_, id_, 100).has_value(); };
  EXPECT_TRUE(free());
  scratch_.file("incomplete/image", 10);
  EXPECT_FALSE(free());
  scratch_.touch("incomplete/image", std::chrono::seconds(61));  // a left-over
  EXPECT_TRUE(free());
  {
    std::ifstream other(scratch_.path("incomplete/image"));  // or is it one?
    EXPECT_FALSE(free());
  }
  scratch_.touch("incomplete/image", std::chrono::seconds(0));
  scratch_.file("maps/image", 10);  // ours
  EXPECT_TRUE(free());
  std::filesystem::remove(scratch_.path("maps/image"));
  EXPECT_FALSE(free());
  {
    test::InUse held(scratch_.path("incomplete/image"));  // ours, of another version
    EXPECT_TRUE(free());
  }
  scratch_.file("incomplete/image", 100 + kIncompleteTail);  // ours, before its first map
  EXPECT_TRUE(free());
}

// From its first moment on: Glance may open it, or rename it, at any.
TEST_F(ImageFileTest, IsMarkedAndHasItsTailWhenItIsMade) {
  auto file = file_with("whole");
  EXPECT_TRUE(is_marked_unfinished(file->fd()));
  EXPECT_TRUE(file->intact());
  EXPECT_FALSE(scratch_.has("maps/image"));
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(posix::get_xattr(file->fd(), "user.imgcachefs.unfinished").value(), std::nullopt);
}

TEST_F(ImageFileTest, IsNotBegunInThePlaceOfOneThatAnotherProgramHasOpen) {
  std::ofstream glance(scratch_.path("incomplete/image"), std::ios::binary);
  glance << "who" << std::flush;
  uint64_t freed = 0;
  EXPECT_EQ(ImageFile::begin(layout_, id_, 5, freed).error().kind, ErrorKind::kStale);
  EXPECT_EQ(content("incomplete/image"), "who");
  EXPECT_FALSE(scratch_.has("maps/image"));
}

TEST_F(ImageFileTest, GoesBackToItsNameWhereverItWasMoved) {
  auto file = file_with("whole");
  for (const char* elsewhere : {"image", "invalid/image"}) {
    std::filesystem::rename(scratch_.path("incomplete/image"), scratch_.path(elsewhere));
    file->reclaim();
    EXPECT_TRUE(scratch_.has("incomplete/image")) << elsewhere;
    EXPECT_FALSE(scratch_.has(elsewhere));
  }
  // Where that name is taken it is at least not called cached.
  std::filesystem::rename(scratch_.path("incomplete/image"), scratch_.path("image"));
  scratch_.file("incomplete/image", 3);
  file->reclaim();
  EXPECT_FALSE(scratch_.has("image"));
  EXPECT_EQ(content("incomplete/image"), "xxx");
}

TEST_F(ImageFileTest, StaysWhereItBelongsOnceItIsOver) {
  auto file = file_with("whole");
  ASSERT_TRUE(file->commit());
  file->reclaim();
  EXPECT_EQ(content("image"), "whole");
  auto wrong = file_with("wrong");
  ASSERT_TRUE(wrong->quarantine("wrong"));
  wrong->reclaim();
  EXPECT_EQ(content("invalid/image"), "wrong");
}

TEST_F(ImageFileTest, IsCommittedFromWhereverItWasMoved) {
  for (const char* elsewhere : {"image", "invalid/image"}) {
    auto file = file_with("whole");
    std::filesystem::rename(scratch_.path("incomplete/image"), scratch_.path(elsewhere));
    ASSERT_TRUE(file->commit()) << elsewhere;
    EXPECT_EQ(content("image"), "whole");
    EXPECT_FALSE(scratch_.has("invalid/image"));
    EXPECT_FALSE(is_marked_unfinished(file->fd()));
  }
}

TEST_F(ImageFileTest, ThatSomebodyRemovedIsBegunAgain) {
  auto file = file_with("whole");
  std::filesystem::remove(scratch_.path("incomplete/image"));
  EXPECT_EQ(file->commit().error().kind, ErrorKind::kNotFound);
  ASSERT_TRUE(file->begin_again());
  EXPECT_TRUE(scratch_.has("incomplete/image"));
  EXPECT_TRUE(file->intact());
  UniqueFd cleaner(::open(scratch_.path("incomplete/image").c_str(), O_RDONLY));
  EXPECT_EQ(posix::try_lock(cleaner.get(), posix::LockMode::kExclusive).error().kind,
            ErrorKind::kBusy);
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(content("image"), "whole");
}

TEST_F(ImageFileTest, IsNotBegunAgainOverWhatSomebodyHasBegun) {
  auto file = file_with("whole");
  std::filesystem::remove(scratch_.path("incomplete/image"));
  scratch_.file("incomplete/image", 3);
  EXPECT_EQ(file->commit().error().kind, ErrorKind::kStale);
  EXPECT_EQ(file->begin_again().error().kind, ErrorKind::kStale);
  EXPECT_EQ(content("incomplete/image"), "xxx");
}

TEST_F(ImageFileTest, IsCommittedWhateverBecomesOfItsMap) {
  auto file = file_with("whole");
  std::filesystem::create_directories(scratch_.path("maps/image"));  // cannot be unlinked
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
  EXPECT_FALSE(ImageFile::take_up(layout_, id_, 4));
  EXPECT_EQ(read_file(scratch_.root() / "outside"), "mine");
}

}  // namespace
}  // namespace imgcachefs
