#include "cache/cache_layout.h"

#include <sys/stat.h>

#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using Access = CacheLayout::Access;
using test::ScratchCache;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

namespace fs = std::filesystem;

std::vector<std::string> listed(const CacheLayout& layout, Place place) {
  std::vector<std::string> names;
  const auto files = layout.list(place).value();
  for (const StoredFile& file : files) names.push_back(file.id.str());
  std::vector<std::string> same;
  const auto ids = layout.names(place).value();
  for (const ImageId& id : ids) same.push_back(id.str());
  EXPECT_THAT(same, testing::UnorderedElementsAreArray(names));
  return names;
}

unsigned mode_of(const fs::path& path) {
  struct stat st;
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
  return st.st_mode & 07777;
}

TEST(CacheLayout, MakesWhatIsMissingForItsOwnerOnly) {
  ScratchCache cache;
  const std::string deep = (cache.root() / "var" / "cache" / "images").string();
  auto layout = CacheLayout::open(deep + "//", Access::kDaemon);
  ASSERT_TRUE(layout) << layout.error().message;
  EXPECT_EQ(layout->path(), deep);
  EXPECT_EQ(layout->index_path(), deep + "/cache.db");
  for (const char* name : {"", "incomplete", "invalid", "queue", "maps"})
    EXPECT_EQ(mode_of(fs::path(deep) / name), 0700u) << name;
  for (Place place :
       {Place::kCached, Place::kIncomplete, Place::kInvalid, Place::kQueue, Place::kMaps}) {
    EXPECT_GE(layout->dir(place), 0);
    EXPECT_THAT(listed(*layout, place), IsEmpty());
  }
}

TEST(CacheLayout, ARelativePathIsMadeAbsoluteForADaemonThatChangesItsDirectory) {
  ScratchCache cache;
  const fs::path before = fs::current_path();
  fs::current_path(cache.root());
  auto layout = CacheLayout::open("cache", Access::kDaemon);
  fs::current_path(before);
  ASSERT_TRUE(layout) << layout.error().message;
  EXPECT_EQ(layout->path(), cache.dir());
}

TEST(CacheLayout, LeavesTheModeOfAnExistingDirectory) {
  ScratchCache cache;
  fs::create_directory(cache.dir());
  ASSERT_EQ(::chmod(cache.dir().c_str(), 0750), 0);
  ASSERT_TRUE(CacheLayout::open(cache.dir(), Access::kDaemon));
  EXPECT_EQ(mode_of(cache.dir()), 0750u);
}

TEST(CacheLayout, RefusesWhatIsNoDirectory) {
  ScratchCache cache;
  std::ofstream(cache.dir()) << "a file";
  for (Access access : {Access::kDaemon, Access::kTool}) {
    auto layout = CacheLayout::open(cache.dir(), access);
    ASSERT_FALSE(layout);
    EXPECT_EQ(layout.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(layout.error().message, HasSubstr(cache.dir()));
  }
  EXPECT_FALSE(CacheLayout::open("", Access::kDaemon));
}

TEST(CacheLayout, RefusesASymlinkInThePlaceOfASubdirectory) {
  ScratchCache cache;
  fs::create_directories(cache.dir());
  fs::create_directories(cache.root() / "elsewhere");
  fs::create_directory_symlink(cache.root() / "elsewhere", cache.path("invalid"));
  for (Access access : {Access::kDaemon, Access::kTool}) {
    auto layout = CacheLayout::open(cache.dir(), access);
    ASSERT_FALSE(layout);
    EXPECT_EQ(layout.error().kind, ErrorKind::kInvalid);
    EXPECT_THAT(layout.error().message, HasSubstr("invalid"));
  }
}

TEST(CacheLayout, AToolMakesNothing) {
  ScratchCache cache;
  auto none = CacheLayout::open(cache.dir(), Access::kTool);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kNotFound);
  fs::create_directory(cache.dir());
  cache.file("a", 1);
  auto layout = CacheLayout::open(cache.dir(), Access::kTool);
  ASSERT_TRUE(layout);
  EXPECT_LT(layout->dir(Place::kIncomplete), 0);
  EXPECT_THAT(listed(*layout, Place::kIncomplete), IsEmpty());
  EXPECT_THAT(listed(*layout, Place::kCached), UnorderedElementsAre("a"));
  EXPECT_FALSE(cache.has("incomplete"));
}

TEST(CacheLayout, ListsOnlyRegularFilesThatCanBeImages) {
  ScratchCache cache;
  auto layout = CacheLayout::open(cache.dir(), Access::kDaemon).value();
  cache.file("image", 10);
  cache.file("sha256:0f", 0);
  for (const char* other : {"cache.db", "cache.db-journal", "image_cache_db_init", "checkme"})
    cache.file(other, 5);
  fs::create_directory(cache.path("some_dir"));
  fs::create_symlink("image", cache.path("link"));
  ASSERT_EQ(::mkfifo(cache.path("fifo").c_str(), 0600), 0);
  cache.file("invalid/cache.db.corrupt", 5);
  cache.file("invalid/bad", 5);
  EXPECT_THAT(listed(layout, Place::kCached), UnorderedElementsAre("image", "sha256:0f"));
  EXPECT_THAT(listed(layout, Place::kInvalid), UnorderedElementsAre("bad"));
  const auto files = layout.list(Place::kCached).value();
  for (const StoredFile& file : files)
    EXPECT_EQ(file.st.st_size, file.id.str() == "image" ? 10 : 0);
}

TEST(CacheLayout, OnlyOneDaemonHasADirectory) {
  ScratchCache cache;
  auto first = CacheLayout::open(cache.dir(), Access::kDaemon).value();
  auto second = CacheLayout::open(cache.dir(), Access::kDaemon);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kBusy);
  EXPECT_THAT(second.error().message, HasSubstr("another imgcachefs has this cache directory"));
  EXPECT_TRUE(CacheLayout::open(cache.dir(), Access::kTool));  // tools do not mind
}

TEST(CacheLayout, ADirectoryIsFreeWhenItsDaemonIsGone) {
  ScratchCache cache;
  { auto first = CacheLayout::open(cache.dir(), Access::kDaemon).value(); }
  EXPECT_TRUE(CacheLayout::open(cache.dir(), Access::kDaemon));
}

TEST(CacheLayout, WaitsForAPredecessorThatIsShuttingDown) {
  ScratchCache cache;
  std::optional<CacheLayout> first = CacheLayout::open(cache.dir(), Access::kDaemon).value();
  first->stop_serving();
  std::atomic<bool> ended{false};
  std::thread ending([&] {
    std::this_thread::sleep_for(1500ms);  // longer than the patience with one that serves
    ended = true;
    first.reset();
  });
  auto second = CacheLayout::open(cache.dir(), Access::kDaemon);
  EXPECT_TRUE(ended);
  ending.join();
  EXPECT_TRUE(second) << second.error().message;
}

}  // namespace
}  // namespace imgcachefs
