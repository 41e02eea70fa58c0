// The prefetcher alone, with a clock of the test's, and in a store over an upstream in memory.
#include "cache/prefetcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <thread>

#include "cache/image_store.h"
#include "cache/sqlite_index.h"
#include "support/fake_upstream.h"
#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;
using test::digest_of;
using test::FakeUpstream;
using test::pattern_bytes;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
namespace files = std::filesystem;

constexpr uint64_t kMiB = 1 << 20;

ImageId id_of(const std::string& name) {
  return ImageId::parse(name).value();
}

class PrefetcherTest : public testing::Test {
 protected:
  void make(unsigned at_once = 1) {
    layout_.emplace(CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value());
    PrefetchPace pace;
    pace.at_once = at_once;
    prefetcher_ = std::make_unique<Prefetcher>(
        *layout_,
        [this](const ImageId& id, Prefetcher::Done done) {
          begun_.push_back(id.str());
          running_[id.str()] = std::move(done);
        },
        pace, [this] { return now_; });
  }
  void queue(const std::string& name) {
    ASSERT_EQ(ImageQueue(*layout_).queue_image(id_of(name), false).value(),
              ImageQueue::Outcome::kQueued);
  }
  void end(const std::string& name, const Status& status) {
    auto node = running_.extract(name);
    ASSERT_FALSE(node.empty()) << name;
    if (status) {  // as a commit does it
      cache_.file(name, 1);
      files::remove(cache_.path("queue/" + name));
    }
    node.mapped()(status);
  }
  static Status failure(ErrorKind kind = ErrorKind::kUnavailable) { return fail(kind, "refused"); }
  // Rounds every second until it is begun again.
  std::chrono::seconds pause_until_begun() {
    const size_t before = begun_.size();
    const auto from = now_;
    while (begun_.size() == before && now_ - from < 1h) {
      now_ += 1s;
      prefetcher_->round();
    }
    return std::chrono::duration_cast<std::chrono::seconds>(now_ - from);
  }
  std::vector<std::string> begun() { return std::exchange(begun_, {}); }

  test::ScratchCache cache_;
  std::optional<CacheLayout> layout_;
  steady_clock::time_point now_ = steady_clock::now();
  std::vector<std::string> begun_;
  std::map<std::string, Prefetcher::Done> running_;
  std::unique_ptr<Prefetcher> prefetcher_;
};

TEST_F(PrefetcherTest, TakesTheOldestFirstAndAFewAtATime) {
  make(2);
  for (const char* name : {"c", "a", "b", "d"}) queue(name);
  prefetcher_->round();
  EXPECT_THAT(begun(), ElementsAre("c", "a"));
  prefetcher_->round();
  EXPECT_THAT(begun(), IsEmpty());
  end("a", {});
  prefetcher_->round();
  EXPECT_THAT(begun(), ElementsAre("b"));
  end("c", {});
  end("b", {});
  prefetcher_->round();
  EXPECT_THAT(begun(), ElementsAre("d"));
  end("d", {});
  EXPECT_THAT(prefetcher_->status(), IsEmpty());
}

TEST_F(PrefetcherTest, WhatFailsIsTriedAgainAfterAPauseThatGrowsToALimit) {
  make();
  queue("a");
  prefetcher_->round();
  std::chrono::seconds last{0};
  for (int attempt = 1; attempt <= 12; ++attempt) {
    end("a", failure());
    const auto status = prefetcher_->status();
    ASSERT_EQ(status.size(), 1u);
    EXPECT_EQ(status[0].attempts, static_cast<unsigned>(attempt));
    EXPECT_EQ(status[0].error->kind, ErrorKind::kUnavailable);
    EXPECT_TRUE(status[0].next_try);
    const auto pause = pause_until_begun();
    const auto least = std::min<std::chrono::seconds>(5s * (1 << (attempt - 1)), 600s);
    EXPECT_GE(pause, least) << attempt;
    EXPECT_LE(pause, least + least / 10 + 1s) << attempt;
    EXPECT_GE(pause + pause / 10 + 1s, last) << attempt;
    last = pause;
    EXPECT_FALSE(prefetcher_->status()[0].next_try);  // it is being tried
  }
  EXPECT_TRUE(cache_.has("queue/a"));
  end("a", {});
}

TEST_F(PrefetcherTest, AWrongChecksumIsTriedAgainAfterTheLongestPauseFromTheFirstOn) {
  make();
  queue("a");
  prefetcher_->round();
  for (int attempt = 1; attempt <= 3; ++attempt) {
    end("a", failure(ErrorKind::kCorrupt));
    const auto pause = pause_until_begun();
    EXPECT_GE(pause, 600s) << attempt;
    EXPECT_LE(pause, 661s) << attempt;
  }
  end("a", {});
}

TEST_F(PrefetcherTest, AFailureHoldsUpNoOther) {
  make();
  queue("bad");
  queue("good");
  prefetcher_->round();
  end("bad", failure(ErrorKind::kNotFound));
  prefetcher_->round();
  EXPECT_THAT(begun(), ElementsAre("bad", "good"));
  end("good", {});
  EXPECT_TRUE(cache_.has("queue/bad"));
}

TEST_F(PrefetcherTest, WhatIsAskedForAnewIsTriedAtOnce) {
  make();
  queue("a");
  prefetcher_->round();
  end("a", failure());
  prefetcher_->round();
  EXPECT_THAT(begun(), ElementsAre("a"));
  std::this_thread::sleep_for(20ms);  // the clock of the file system
  ASSERT_TRUE(ImageQueue(*layout_).renew(id_of("a")));
  prefetcher_->round();
  EXPECT_THAT(begun(), ElementsAre("a"));
  end("a", failure());
  prefetcher_->round();
  EXPECT_THAT(begun(), IsEmpty());  // once
  EXPECT_EQ(prefetcher_->status()[0].attempts, 2u);
}

TEST_F(PrefetcherTest, WhatIsTakenOutOfTheQueueIsNotBegunAndNotTriedAgain) {
  make();
  for (const char* name : {"running", "waiting"}) queue(name);
  prefetcher_->round();
  for (const char* name : {"running", "waiting"})
    ASSERT_TRUE(ImageQueue(*layout_).remove(id_of(name)).value());
  end("running", failure());
  for (int i = 0; i < 20; ++i, now_ += 1s) prefetcher_->round();
  EXPECT_THAT(begun(), ElementsAre("running"));
  EXPECT_THAT(prefetcher_->status(), IsEmpty());
  // Queued anew it is a new matter.
  queue("running");
  prefetcher_->round();
  EXPECT_THAT(begun(), ElementsAre("running"));
  EXPECT_EQ(prefetcher_->status()[0].attempts, 0u);
  end("running", {});
}

TEST_F(PrefetcherTest, WhatIsCachedAlreadyLeavesTheQueue) {
  make();
  queue("a");
  cache_.file("a", 10);
  prefetcher_->round();
  EXPECT_THAT(begun(), IsEmpty());
  EXPECT_FALSE(cache_.has("queue/a"));
}

TEST_F(PrefetcherTest, NamesThatAreNoImageAreLeftAlone) {
  make(8);
  cache_.file("queue/cache.db-journal", 1);
  files::create_directory(cache_.path("queue/dir"));
  prefetcher_->round();
  EXPECT_THAT(begun(), IsEmpty());
  EXPECT_TRUE(cache_.has("queue/cache.db-journal"));
  EXPECT_TRUE(cache_.has("queue/dir"));
}

TEST_F(PrefetcherTest, AnImageThatChangedMeanwhileIsBegunAnewAtOnceButNotForEver) {
  make();
  queue("a");
  prefetcher_->round();
  end("a", failure(ErrorKind::kStale));
  prefetcher_->round();
  EXPECT_THAT(begun(), ElementsAre("a", "a"));
  end("a", failure(ErrorKind::kStale));
  prefetcher_->round();
  EXPECT_THAT(begun(), IsEmpty());
  EXPECT_EQ(prefetcher_->status()[0].attempts, 1u);
}

TEST_F(PrefetcherTest, WhatLacksRoomBesideOthersHasItsTurnAlone) {
  make(3);
  for (const char* name : {"a", "b", "c", "d"}) queue(name);
  prefetcher_->round();
  EXPECT_THAT(begun(), ElementsAre("a", "b", "c"));
  end("b", failure(ErrorKind::kNoSpace));
  end("c", {});
  prefetcher_->round();
  EXPECT_THAT(begun(), IsEmpty());  // nor is a later one begun before it
  end("a", {});
  EXPECT_EQ(pause_until_begun(), 1s);
  EXPECT_THAT(begun(), ElementsAre("b"));
  end("b", failure(ErrorKind::kNoSpace));  // alone there is no room for it either
  prefetcher_->round();
  EXPECT_THAT(begun(), ElementsAre("d"));
  end("d", {});
  const auto status = prefetcher_->status();
  ASSERT_EQ(status.size(), 1u);
  EXPECT_EQ(status[0].attempts, 1u);
}

TEST_F(PrefetcherTest, BeingToldToStopIsNoFailure) {
  make();
  queue("a");
  prefetcher_->round();
  end("a", failure(ErrorKind::kCancelled));
  EXPECT_EQ(prefetcher_->status()[0].attempts, 0u);
  EXPECT_TRUE(cache_.has("queue/a"));
}

class PrefetchingStoreTest : public testing::Test {
 protected:
  PrefetchingStoreTest() {
    config_.cache_dir = cache_.dir();
    config_.source = "fake:";
    config_.max_size = 64 * kMiB;
  }
  ~PrefetchingStoreTest() override {
    upstream_.open_gates();
    store_.reset();
  }

  void mount(bool prefetching = true) {
    auto store = ImageStore::open(config_, upstream_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    tool_.emplace(CacheLayout::open(config_.cache_dir, CacheLayout::Access::kTool).value());
    if (prefetching) store_->take_up_queue();
  }
  std::vector<std::byte> offer(const std::string& name, uint64_t size,
                               RangeSupport ranges = RangeSupport::kYes) {
    FakeUpstream::Image image;
    image.bytes = pattern_bytes(size, size + name.size());
    image.digest = digest_of(image.bytes);
    image.ranges = ranges;
    auto bytes = image.bytes;
    upstream_.put(name, std::move(image));
    return bytes;
  }
  void queue(const std::string& name) {
    ASSERT_TRUE(ImageQueue(*tool_).queue_image(id_of(name), false));
  }
  Status fetch_whole(const std::string& name) {
    auto told = std::make_shared<std::promise<Status>>();
    store_->fetch_whole(id_of(name), [told](const Status& status) { told->set_value(status); });
    auto later = told->get_future();
    if (later.wait_for(30s) != std::future_status::ready)
      return fail(ErrorKind::kTimeout, "never told");
    return later.get();
  }
  std::unique_ptr<ImageHandle> open(const std::string& name) {
    std::promise<Result<std::shared_ptr<Image>>> looked_up;
    store_->lookup(id_of(name), [&](auto image) { looked_up.set_value(std::move(image)); });
    auto image = looked_up.get_future().get().value();
    std::promise<Result<std::unique_ptr<ImageHandle>>> opened;
    store_->open_image(image, [&](auto handle) { opened.set_value(std::move(handle)); });
    return std::move(opened.get_future().get().value());
  }
  static Result<size_t> read(ImageHandle& handle, ByteRange range) {
    auto told = std::make_shared<std::promise<Result<size_t>>>();
    handle.read(range, [told](Result<ImageBytes> got) {
      told->set_value(got ? Result<size_t>(got->length) : fail(got.error()));
    });
    auto later = told->get_future();
    if (later.wait_for(30s) != std::future_status::ready)
      return fail(ErrorKind::kTimeout, "never answered");
    return later.get();
  }
  static bool eventually(const std::function<bool()>& condition) {
    const auto until = steady_clock::now() + 30s;
    while (steady_clock::now() < until) {
      if (condition()) return true;
      std::this_thread::sleep_for(5ms);
    }
    return condition();
  }
  std::optional<QueueStatus> tried(const std::string& name) {
    for (QueueStatus& entry : store_->status().queue)
      if (entry.id == id_of(name) && entry.attempts > 0) return std::move(entry);
    return std::nullopt;
  }

  test::ScratchCache cache_;
  FakeUpstream upstream_;
  StoreConfig config_;
  std::unique_ptr<ImageStore> store_;
  std::optional<CacheLayout> tool_;
};

TEST_F(PrefetchingStoreTest, CachesWhatIsQueuedWithoutAReader) {
  offer("a", 3 * kMiB + 7);
  offer("b", 0);
  offer("c", 2 * kMiB, RangeSupport::kNo);
  mount();
  for (const char* name : {"a", "b", "c"}) queue(name);
  EXPECT_TRUE(eventually([&] { return cache_.has("a") && cache_.has("b") && cache_.has("c"); }));
  EXPECT_TRUE(eventually([&] { return store_->status().queued == 0; }));
  EXPECT_EQ(upstream_.sent(), 5 * kMiB + 7);
  EXPECT_EQ(store_->status().counters.hits, 0u);
  EXPECT_EQ(store_->status().counters.misses, 0u);
  auto row = open_sqlite_index(*tool_, false).value()->find(id_of("a")).value();
  ASSERT_TRUE(row);
  EXPECT_TRUE(row->verified);
  EXPECT_EQ(row->hits, 0u);
  EXPECT_EQ(row->last_accessed, row->last_modified);
}

TEST_F(PrefetchingStoreTest, CompletesWhatWasBegunAndFetchesNothingTwice) {
  offer("a", 4 * kMiB);
  mount();
  {
    auto handle = open("a");
    ASSERT_TRUE(read(*handle, {kMiB, kMiB + 100}));
  }
  queue("a");
  EXPECT_TRUE(eventually([&] { return cache_.has("a"); }));
  EXPECT_EQ(upstream_.sent(), 4 * kMiB);
}

TEST_F(PrefetchingStoreTest, AnImageThatAReaderFillsLeavesTheQueueToo) {
  offer("a", kMiB);
  mount(false);  // nobody prefetches
  queue("a");
  auto handle = open("a");
  for (uint64_t at = 0; at < kMiB; at += 128 << 10)
    ASSERT_TRUE(read(*handle, {at, at + (128 << 10)}));
  EXPECT_TRUE(cache_.has("a"));
  EXPECT_FALSE(cache_.has("queue/a"));
}

TEST_F(PrefetchingStoreTest, WhatFailsStaysQueuedAndSaysWhy) {
  mount();
  queue("missing");
  ASSERT_TRUE(eventually([&] { return tried("missing").has_value(); }));
  EXPECT_EQ(tried("missing")->error->kind, ErrorKind::kNotFound);
  EXPECT_TRUE(cache_.has("queue/missing"));
}

TEST_F(PrefetchingStoreTest, AWrongChecksumGoesToInvalidAndStaysQueued) {
  FakeUpstream::Image image;
  image.bytes = pattern_bytes(kMiB);
  image.digest = digest_of(pattern_bytes(10));
  upstream_.put("bad", std::move(image));
  mount();
  queue("bad");
  ASSERT_TRUE(eventually([&] { return tried("bad").has_value(); }));
  EXPECT_EQ(tried("bad")->error->kind, ErrorKind::kCorrupt);
  EXPECT_TRUE(cache_.has("invalid/bad"));
  EXPECT_TRUE(cache_.has("queue/bad"));
  EXPECT_FALSE(cache_.has("bad"));
}

TEST_F(PrefetchingStoreTest, WithoutRoomNothingIsFetched) {
  config_.max_size = 16 * kMiB;
  offer("more-than-all", 17 * kMiB);
  mount(false);
  EXPECT_EQ(fetch_whole("more-than-all").error().kind, ErrorKind::kNoSpace);
  EXPECT_FALSE(cache_.has("incomplete/more-than-all"));

  offer("pinned", 12 * kMiB);
  ASSERT_TRUE(fetch_whole("pinned"));
  ASSERT_TRUE(open_sqlite_index(*tool_, false).value()->set_pinned(id_of("pinned"), true));
  const uint64_t sent = upstream_.sent();
  for (RangeSupport ranges : {RangeSupport::kYes, RangeSupport::kNo}) {
    const std::string name = ranges == RangeSupport::kYes ? "second" : "pass";
    offer(name, 6 * kMiB, ranges);
    EXPECT_EQ(fetch_whole(name).error().kind, ErrorKind::kNoSpace) << name;
    EXPECT_EQ(upstream_.sent(), sent) << name;
    EXPECT_FALSE(cache_.has(name));
  }
}

TEST_F(PrefetchingStoreTest, WithoutRoomWhatReadersHaveOfItStays) {
  config_.max_size = 16 * kMiB;
  offer("pinned", 12 * kMiB);
  offer("second", 6 * kMiB);
  mount(false);
  ASSERT_TRUE(fetch_whole("pinned"));
  ASSERT_TRUE(open_sqlite_index(*tool_, false).value()->set_pinned(id_of("pinned"), true));
  auto handle = open("second");
  ASSERT_TRUE(read(*handle, {0, 4096}));
  EXPECT_EQ(fetch_whole("second").error().kind, ErrorKind::kNoSpace);
  const uint64_t sent = upstream_.sent();
  ASSERT_TRUE(read(*handle, {0, 4096}));
  EXPECT_EQ(upstream_.sent(), sent);
  EXPECT_TRUE(cache_.has("incomplete/second"));
  // And a reader who goes on sees no error.
  for (uint64_t at = 0; at < 6 * kMiB; at += 128 << 10)
    ASSERT_TRUE(read(*handle, {at, at + (128 << 10)})) << at;
}

TEST_F(PrefetchingStoreTest, MakesRoomAsAReaderDoes) {
  config_.max_size = 16 * kMiB;
  offer("old", 10 * kMiB);
  offer("new", 10 * kMiB);
  mount();
  queue("old");
  queue("new");  // both at once have no room
  EXPECT_TRUE(eventually([&] { return cache_.has("new") && !cache_.has("queue/new"); }));
  EXPECT_FALSE(cache_.has("old"));
  EXPECT_TRUE(eventually([&] { return store_->status().queue.empty(); }));
}

TEST_F(PrefetchingStoreTest, AReaderIsServedWhileAllPrefetchesWait) {
  config_.connections = 2;  // one for background, one kept for readers
  for (const char* name : {"a", "b", "c"}) offer(name, 8 * kMiB);
  offer("read", kMiB);
  upstream_.close_gate(0);
  mount();
  for (const char* name : {"a", "b", "c"}) queue(name);
  ASSERT_TRUE(eventually([&] { return upstream_.reads().size() == 1; }));
  auto handle = open("read");
  auto told = std::make_shared<std::promise<bool>>();
  handle->read({512 << 10, (512 << 10) + 100},
               [told](Result<ImageBytes> got) { told->set_value(got.has_value()); });
  // Its request goes out though the background transfer has not moved.
  ASSERT_TRUE(eventually([&] { return upstream_.reads().size() == 2; }));
  EXPECT_EQ(upstream_.reads()[1].begin, 512u << 10);
  // And further ones wait for their turn.
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(upstream_.reads().size(), 2u);
  upstream_.open_gates();
  EXPECT_TRUE(told->get_future().get());
  EXPECT_TRUE(eventually([&] { return store_->status().queued == 0; }));
}

TEST_F(PrefetchingStoreTest, AnUnmountLeavesItQueuedAndTheNextMountGoesOn) {
  offer("a", 8 * kMiB);
  upstream_.close_gate(128 << 10);
  mount();
  queue("a");
  ASSERT_TRUE(eventually([&] { return !upstream_.reads().empty(); }));
  store_->shutdown();
  store_.reset();
  EXPECT_TRUE(cache_.has("queue/a"));
  EXPECT_FALSE(cache_.has("a"));
  upstream_.open_gates();
  mount();
  EXPECT_TRUE(eventually([&] { return cache_.has("a") && !cache_.has("queue/a"); }));
}

TEST_F(PrefetchingStoreTest, WhoAsksWhileItShutsDownIsTold) {
  offer("a", 8 * kMiB);
  upstream_.close_gate(0);
  mount(false);
  std::promise<Status> told;
  store_->fetch_whole(id_of("a"), [&](const Status& status) { told.set_value(status); });
  ASSERT_TRUE(eventually([&] { return !upstream_.reads().empty(); }));
  store_->shutdown();
  EXPECT_EQ(told.get_future().get().error().kind, ErrorKind::kCancelled);
  EXPECT_EQ(fetch_whole("a").error().kind, ErrorKind::kCancelled);
}

TEST_F(PrefetchingStoreTest, AnImageThatChangesMeanwhileIsCachedInItsNewVersion) {
  offer("a", 8 * kMiB);
  upstream_.close_gate(128 << 10);
  mount();
  queue("a");
  ASSERT_TRUE(eventually([&] { return !upstream_.reads().empty(); }));
  FakeUpstream::Image second;
  second.bytes = pattern_bytes(5 * kMiB, 99);
  second.etag = "\"v2\"";
  second.digest = digest_of(second.bytes);
  upstream_.put("a", std::move(second));
  upstream_.open_gates();
  EXPECT_TRUE(eventually([&] { return cache_.has("a") && !cache_.has("queue/a"); }));
  EXPECT_EQ(files::file_size(cache_.path("a")), 5 * kMiB);
}

TEST_F(PrefetchingStoreTest, AChecksumThatCannotBeLearntIsAFailure) {
  offer("a", kMiB);
  mount(false);
  upstream_.close_digest_gate();
  std::promise<Status> told;
  store_->fetch_whole(id_of("a"), [&](const Status& status) { told.set_value(status); });
  ASSERT_TRUE(eventually([&] { return upstream_.sent() == kMiB; }));
  upstream_.fail_with(Error{ErrorKind::kTimeout, "silent"});
  upstream_.open_gates();
  EXPECT_EQ(told.get_future().get().error().kind, ErrorKind::kTimeout);
  EXPECT_FALSE(cache_.has("a"));
  upstream_.fail_with(std::nullopt);
  EXPECT_TRUE(fetch_whole("a"));  // all bytes are here: only the checksum is asked for
  EXPECT_EQ(upstream_.sent(), kMiB);
}

TEST_F(PrefetchingStoreTest, SeveralWhoWantTheSameImageCauseOneTransfer) {
  offer("a", 4 * kMiB);
  mount(false);
  std::vector<std::future<Status>> all;
  for (int i = 0; i < 8; ++i)
    all.push_back(std::async(std::launch::async, [&] { return fetch_whole("a"); }));
  for (auto& one : all) EXPECT_TRUE(one.get());
  EXPECT_EQ(upstream_.sent(), 4 * kMiB);
}

}  // namespace
}  // namespace imgcachefs
