// The queue directory, with the meaning Glance gives it (its test_queue and what NOTES says of it).
#include "cache/image_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "cache/repository_marks.h"
#include "support/scratch_cache.h"
#include "support/small_file_system.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using Outcome = ImageQueue::Outcome;
using testing::ElementsAre;
using testing::IsEmpty;

ImageId id_of(const std::string& name) {
  return ImageId::parse(name).value();
}

class ImageQueueTest : public testing::Test {
 protected:
  void open(CacheLayout::Access access = CacheLayout::Access::kDaemon) {
    layout_.emplace(CacheLayout::open(cache_.dir(), access).value());
    queue_.emplace(*layout_);
  }
  Outcome add(const std::string& name, bool being_cached = false) {
    return queue_->queue_image(id_of(name), being_cached).value();
  }
  std::vector<std::string> names() {
    std::vector<std::string> names;
    const auto images = queue_->images().value();
    for (const StoredFile& file : images) names.push_back(file.id.str());
    return names;
  }

  test::ScratchCache cache_;
  std::optional<CacheLayout> layout_;
  std::optional<ImageQueue> queue_;
};

TEST_F(ImageQueueTest, QueuesOnceAndOnlyWhatIsNeitherCachedNorBeingCached) {
  open();
  EXPECT_EQ(add("a"), Outcome::kQueued);
  EXPECT_TRUE(queue_->is_queued(id_of("a")).value());
  EXPECT_EQ(std::filesystem::file_size(cache_.path("queue/a")), 0u);
  EXPECT_EQ(add("a"), Outcome::kAlreadyQueued);
  cache_.file("cached", 10);
  EXPECT_EQ(add("cached"), Outcome::kCached);
  EXPECT_EQ(add("filling", true), Outcome::kBeingCached);
  EXPECT_THAT(names(), ElementsAre("a"));
}

TEST_F(ImageQueueTest, AnIncompleteImageThatNobodyFillsCanBeQueued) {
  open();
  cache_.file("incomplete/looked-at", 10);
  EXPECT_EQ(add("looked-at"), Outcome::kQueued);
}

TEST_F(ImageQueueTest, OrderIsThatOfQueueing) {
  open();
  for (const char* name : {"c", "a", "b", "z", "0"}) add(name);
  EXPECT_THAT(names(), ElementsAre("c", "a", "b", "z", "0"));
}

TEST_F(ImageQueueTest, OrderIsTimeThenNameAsGlanceHasIt) {
  open();
  cache_.file("queue/late", 0, 10s);
  cache_.file("queue/early", 0, 20s);
  for (const char* name : {"queue/y", "queue/x"}) {
    cache_.file(name, 0);
    const struct timespec same[2] = {{1000, 0}, {1000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, cache_.path(name).c_str(), same, 0), 0);
  }
  EXPECT_THAT(names(), ElementsAre("x", "y", "early", "late"));
}

TEST_F(ImageQueueTest, TakesOut) {
  open();
  add("a");
  add("b");
  EXPECT_TRUE(queue_->remove(id_of("a")).value());
  EXPECT_FALSE(queue_->remove(id_of("a")).value());
  EXPECT_FALSE(queue_->is_queued(id_of("a")).value());
  EXPECT_THAT(names(), ElementsAre("b"));
}

TEST_F(ImageQueueTest, TakesOutAllButWhatIsNoImage) {
  open();
  add("b");
  add("a");
  cache_.file("queue/cache.db-journal", 3);
  std::filesystem::create_directory(cache_.path("queue/directory"));
  EXPECT_THAT(queue_->remove_all().value(), ElementsAre(id_of("b"), id_of("a")));
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_TRUE(cache_.has("queue/directory"));
  EXPECT_TRUE(cache_.has("queue/cache.db-journal"));
}

TEST_F(ImageQueueTest, RenewingKeepsTheOrderAndShowsInTheTimeOfChange) {
  open();
  add("a");
  add("b");
  const auto before = queue_->images().value()[0].st;
  std::this_thread::sleep_for(20ms);  // the clock of the file system
  ASSERT_TRUE(queue_->renew(id_of("a")));
  EXPECT_THAT(names(), ElementsAre("a", "b"));
  const auto after = queue_->images().value()[0].st;
  EXPECT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
  EXPECT_NE(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
  EXPECT_EQ(queue_->renew(id_of("none")).error().kind, ErrorKind::kNotFound);
}

TEST_F(ImageQueueTest, ASymlinkIsNotFollowed) {
  open();
  cache_.file("queue/a", 0);  // so that the directory is there
  std::filesystem::create_symlink(cache_.root() / "elsewhere", cache_.path("queue/link"));
  EXPECT_EQ(add("link"), Outcome::kAlreadyQueued);
  EXPECT_FALSE(std::filesystem::exists(cache_.root() / "elsewhere"));
  EXPECT_THAT(names(), ElementsAre("a"));
}

TEST_F(ImageQueueTest, WorksWithoutADaemonAndMakesTheDirectoryWhenNeeded) {
  std::filesystem::create_directory(cache_.dir());
  open(CacheLayout::Access::kTool);
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_FALSE(queue_->remove(id_of("a")).value());
  EXPECT_FALSE(cache_.has("queue"));
  EXPECT_EQ(add("a"), Outcome::kQueued);
  open(CacheLayout::Access::kTool);
  EXPECT_THAT(names(), ElementsAre("a"));
}

TEST_F(ImageQueueTest, OfManyWhoQueueTheSameImageOneDoes) {
  open();
  std::atomic<int> queued{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      const ImageQueue mine(*layout_);
      for (int image = 0; image < 50; ++image)
        if (mine.queue_image(id_of("i" + std::to_string(image)), false).value() == Outcome::kQueued)
          ++queued;
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(queued, 50);
}

// Who takes it up in between would say that nobody knows where the image is.
TEST_F(ImageQueueTest, NobodySeesItWithoutItsRepository) {
  open();
  constexpr int kImages = 2000;
  std::atomic<int> queued{0};
  int seen = 0, unmarked = 0;
  std::thread looking([&] {
    for (int i = 0; i < kImages; ++i) {
      const std::string name = std::to_string(i);
      for (;;) {
        const bool late = queued > i;
        auto fd = posix::open_at(layout_->dir(Place::kQueue), name, O_RDONLY);
        if (!fd && late) break;
        if (!fd) continue;
        unmarked += marked_repositories(fd->get()).empty();
        ++seen;
        break;
      }
    }
  });
  for (int i = 0; i < kImages; ++i) {
    EXPECT_TRUE(queue_->queue_image(id_of(std::to_string(i)), false, "team/vm"));
    ++queued;
  }
  looking.join();
  EXPECT_EQ(seen, kImages);
  EXPECT_EQ(unmarked, 0);
}

TEST(ImageQueueWithoutAttributes, SaysThatTheRepositoryCannotBeNoted) {
  test::SmallFileSystem file_system("ramfs");
  const auto layout =
      CacheLayout::open(file_system.cache_dir(), CacheLayout::Access::kDaemon).value();
  const ImageQueue queue(layout);
  const auto outcome = queue.queue_image(id_of("a"), false, "team/vm");
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, testing::HasSubstr("extended attributes"));
  EXPECT_TRUE(queue.is_queued(id_of("a")).value());
  EXPECT_TRUE(queue.queue_image(id_of("b"), false));
}

}  // namespace
}  // namespace imgcachefs
