#include "cache/eviction.h"

#include <thread>

#include "cache/sqlite_index.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using test::InUse;
using test::ScratchCache;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr size_t kMiB = 1 << 20;

ImageId id(std::string_view text) {
  return ImageId::parse(text).value();
}

// "<place>/<id>", in the order they went.
std::vector<std::string> names(const Removals& removals) {
  std::vector<std::string> out;
  uint64_t bytes = 0;
  for (const Removed& file : removals.files) {
    const char* place = file.place == Place::kCached       ? ""
                        : file.place == Place::kIncomplete ? "incomplete/"
                                                           : "invalid/";
    out.push_back(place + file.id.str());
    bytes += file.bytes;
  }
  EXPECT_EQ(bytes, removals.bytes);
  return out;
}

class Eviction : public testing::Test {
 protected:
  // A cached image with its row, last used `age` ago.
  void cached(std::string_view name, size_t size, std::chrono::seconds age, bool pinned = false) {
    cache_.file(name, size);
    const WallTime used = std::chrono::system_clock::now() - age;
    IndexRecord record{id(name), size, 0, used, used, std::nullopt, false, {}, pinned};
    ASSERT_TRUE(index_->put(record));
  }
  bool has_row(std::string_view name) { return index_->find(id(name)).value().has_value(); }

  ScratchCache cache_;
  CacheLayout layout_ = CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value();
  std::unique_ptr<CacheIndex> index_ = open_sqlite_index(layout_, true).value();
};

TEST_F(Eviction, OneImageGoesWithItsRow) {
  cached("a", 100, 0s);
  cached("b", 100, 0s);
  auto removals = evict(layout_, index_.get(), id("a"));
  ASSERT_TRUE(removals) << removals.error().message;
  EXPECT_THAT(names(*removals), ElementsAre("a"));
  EXPECT_EQ(removals->bytes, 100u);
  EXPECT_FALSE(cache_.has("a"));
  EXPECT_FALSE(has_row("a"));
  EXPECT_TRUE(cache_.has("b"));
}

TEST_F(Eviction, AnIncompleteImageGoesWithItsMap) {
  cache_.file("incomplete/a", kMiB);
  cache_.file("maps/a", 10);
  auto removals = evict(layout_, index_.get(), id("a"));
  ASSERT_TRUE(removals);
  EXPECT_THAT(names(*removals), ElementsAre("incomplete/a"));
  EXPECT_GE(removals->bytes, kMiB);
  EXPECT_FALSE(cache_.has("incomplete/a"));
  EXPECT_FALSE(cache_.has("maps/a"));
}

TEST_F(Eviction, WhatIsNotThereIsNotFound) {
  auto removals = evict(layout_, index_.get(), id("a"));
  ASSERT_FALSE(removals);
  EXPECT_EQ(removals.error().kind, ErrorKind::kNotFound);
}

TEST_F(Eviction, WhatIsPinnedOrInUseStays) {
  cached("pinned", 10, 0s, true);
  cached("open", 10, 0s);
  cache_.file("incomplete/open", 10);
  cache_.file("incomplete/filling", 10);
  InUse reader(cache_.path("open"));
  InUse fill(cache_.path("incomplete/filling"));
  for (const char* name : {"pinned", "open", "filling"}) {
    auto removals = evict(layout_, index_.get(), id(name));
    ASSERT_FALSE(removals) << name;
    EXPECT_EQ(removals.error().kind, ErrorKind::kBusy);
  }
  for (const char* name : {"pinned", "open", "incomplete/open", "incomplete/filling"})
    EXPECT_TRUE(cache_.has(name)) << name;
}

TEST_F(Eviction, PruneTakesTheLeastRecentlyUsedUntilItFits) {
  cached("old", 100, 300s);
  cached("new", 100, 10s);
  cached("older", 100, 400s);
  auto removals = prune(layout_, index_.get(), 100, false);
  ASSERT_TRUE(removals);
  EXPECT_THAT(names(*removals), ElementsAre("older", "old"));
  EXPECT_EQ(removals->bytes, 200u);
  EXPECT_TRUE(cache_.has("new"));
  EXPECT_FALSE(has_row("old"));
}

TEST_F(Eviction, PruneLeavesACacheThatFitsExactly) {
  cached("a", 100, 1s);
  cached("b", 100, 2s);
  EXPECT_THAT(names(prune(layout_, index_.get(), 200, false).value()), IsEmpty());
  EXPECT_THAT(names(prune(layout_, index_.get(), 199, false).value()), ElementsAre("b"));
}

TEST_F(Eviction, PruneToNothingTakesAllThatMayGo) {
  cached("empty", 0, 1s);
  cached("a", 100, 2s);
  cached("pinned", 100, 3s, true);
  auto removals = prune(layout_, index_.get(), 0, false).value();
  EXPECT_THAT(names(removals), ElementsAre("a", "empty"));
  EXPECT_TRUE(cache_.has("pinned"));
}

TEST_F(Eviction, PruneCountsWhatItMayNotTake) {
  cached("pinned", 100, 30s, true);
  cached("open", 100, 20s);
  cached("free", 100, 10s);
  InUse reader(cache_.path("open"));
  EXPECT_THAT(names(prune(layout_, index_.get(), 200, false).value()), ElementsAre("free"));
}

TEST_F(Eviction, InvalidImagesGoFirstAndIncompleteOnesByTheirTimes) {
  cached("cached-old", kMiB, 3000s);
  cached("cached-new", kMiB, 1s);
  cache_.file("incomplete/filled", kMiB, 2000s);
  cache_.file("maps/filled", 10);
  cache_.file("incomplete/busy", kMiB, 9000s);
  cache_.file("invalid/bad", kMiB);
  InUse fill(cache_.path("incomplete/busy"));
  auto removals = prune(layout_, index_.get(), 2 * kMiB + kMiB / 2, true).value();
  EXPECT_THAT(names(removals), ElementsAre("invalid/bad", "cached-old", "incomplete/filled"));
  EXPECT_TRUE(cache_.has("cached-old"));  // a dry run
  EXPECT_THAT(names(prune(layout_, index_.get(), 2 * kMiB + kMiB / 2, false).value()),
              ElementsAre("invalid/bad", "cached-old", "incomplete/filled"));
  EXPECT_FALSE(cache_.has("maps/filled"));
  EXPECT_TRUE(cache_.has("incomplete/busy"));
}

TEST_F(Eviction, ASparseFileCountsForWhatItTakesOnDisk) {
  cache_.file("incomplete/sparse", 0, 100s);
  std::filesystem::resize_file(cache_.path("incomplete/sparse"), 1 << 30);
  cached("a", kMiB, 10s);
  EXPECT_THAT(names(prune(layout_, index_.get(), 2 * kMiB, false).value()), IsEmpty());
}

TEST_F(Eviction, AnImageWithoutARowIsRankedByItsFile) {
  cache_.file("orphan", 100, 500s);
  cached("a", 100, 600s);
  cached("b", 100, 10s);
  EXPECT_THAT(names(prune(layout_, index_.get(), 100, false).value()), ElementsAre("a", "orphan"));
}

TEST_F(Eviction, WorksWithoutAnIndex) {
  cache_.file("a", 100, 500s);
  cache_.file("b", 100, 10s);
  EXPECT_THAT(names(prune(layout_, nullptr, 100, false).value()), ElementsAre("a"));
  EXPECT_TRUE(evict(layout_, nullptr, id("b")));
  EXPECT_FALSE(cache_.has("b"));
}

TEST_F(Eviction, FreesAtLeastSoManyBytes) {
  cached("a", 100, 30s);
  cached("b", 100, 20s);
  cached("c", 100, 10s);
  EXPECT_THAT(names(free_space(layout_, index_.get(), 0, false).value()), IsEmpty());
  EXPECT_THAT(names(free_space(layout_, index_.get(), 101, false).value()), ElementsAre("a", "b"));
  auto less = free_space(layout_, index_.get(), 1000, false).value();  // all there is, and no error
  EXPECT_EQ(less.bytes, 100u);
}

TEST_F(Eviction, CleanTakesInvalidAndStalledImages) {
  cached("a", 100, 100000s);
  cache_.file("invalid/fresh", 100);
  cache_.file("incomplete/stalled", 100, 3700s);
  cache_.file("maps/stalled", 1);
  cache_.file("incomplete/going", 100, 3500s);
  cache_.file("maps/going", 1, 3500s);
  cache_.file("incomplete/held", 100, 99999s);
  cache_.file("queue/waiting", 0, 99999s);
  InUse fill(cache_.path("incomplete/held"));
  const auto expected = UnorderedElementsAre("invalid/fresh", "incomplete/stalled");
  EXPECT_THAT(names(clean(layout_, 3600s, true).value()), expected);
  EXPECT_TRUE(cache_.has("invalid/fresh"));
  EXPECT_THAT(names(clean(layout_, 3600s, false).value()), expected);
  for (const char* gone : {"invalid/fresh", "incomplete/stalled", "maps/stalled"})
    EXPECT_FALSE(cache_.has(gone)) << gone;
  for (const char* stays :
       {"a", "incomplete/going", "maps/going", "incomplete/held", "queue/waiting"})
    EXPECT_TRUE(cache_.has(stays)) << stays;
}

TEST_F(Eviction, NoStallTimeAtAllCleansEveryIncompleteImageNotInUse) {
  cache_.file("incomplete/fresh", 100);
  cache_.file("incomplete/future", 100, -3600s);
  EXPECT_EQ(clean(layout_, 0s, false).value().files.size(), 2u);
}

TEST_F(Eviction, CleanTakesMapsWithoutAnImage) {
  cache_.file("maps/left", 10, 100s);
  cache_.file("maps/just-begun", 10);
  cache_.file("maps/kept", 10, 100s);
  cache_.file("incomplete/kept", 10);
  ASSERT_TRUE(clean(layout_, 3600s, false));
  EXPECT_FALSE(cache_.has("maps/left"));
  EXPECT_TRUE(cache_.has("maps/just-begun"));
  EXPECT_TRUE(cache_.has("maps/kept"));
}

TEST_F(Eviction, ManyMayPruneAtOnceAndEachImageGoesOnce) {
  constexpr int kImages = 60;
  for (int i = 0; i < kImages; ++i) cached("image-" + std::to_string(i), 10, 10s);
  std::vector<std::thread> threads;
  std::atomic<size_t> removed{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back(
        [&] { removed += prune(layout_, index_.get(), 0, false).value().files.size(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(removed, size_t{kImages});
  EXPECT_TRUE(layout_.names(Place::kCached).value().empty());
  EXPECT_TRUE(index_->all().value().empty());
}

// --- by an order that is remembered
// ---------------------------------------------------------------

class RememberedOrder : public Eviction {
 protected:
  // As the records of a mount remember it.
  void remember(std::string_view name) {
    order_.push_back({id(name), index_->find(id(name)).value()->last_accessed});
  }
  std::vector<std::string> make_room(uint64_t bytes) {
    return names(free_space(layout_, *index_, order_, bytes).value());
  }
  std::vector<LastUse> order_;
};

TEST_F(RememberedOrder, TakesWhatIsNeededAndKeepsTheRestInMind) {
  for (const char* name : {"a", "b", "c"}) {
    cached(name, 100, 300s - std::chrono::seconds(name[0]));
    remember(name);
  }
  EXPECT_THAT(make_room(100), ElementsAre("a"));
  EXPECT_FALSE(has_row("a"));
  EXPECT_THAT(make_room(150), ElementsAre("b", "c"));
  EXPECT_TRUE(order_.empty());
}

TEST_F(RememberedOrder, TakesNothingWhenItIsNotEnough) {
  cached("a", 100, 300s);
  remember("a");
  EXPECT_THAT(make_room(101), IsEmpty());
  EXPECT_TRUE(cache_.has("a"));
  EXPECT_THAT(make_room(100), ElementsAre("a"));
}

TEST_F(RememberedOrder, PassesOverWhatWasUsedPinnedOrTakenSince) {
  for (const char* name : {"used", "pinned", "gone", "open", "rest"}) {
    cached(name, 100, 300s);
    remember(name);
  }
  ASSERT_TRUE(index_->add_accesses({{id("used"), 1, std::chrono::system_clock::now()}}));
  ASSERT_TRUE(index_->set_pinned(id("pinned"), true));
  std::filesystem::remove(cache_.path("gone"));
  {
    InUse reader(cache_.path("open"));
    EXPECT_THAT(make_room(100), ElementsAre("rest"));
  }
  EXPECT_THAT(make_room(100), ElementsAre("open")) << "it is not in use any more";
  EXPECT_TRUE(cache_.has("used"));
  EXPECT_TRUE(cache_.has("pinned"));
}

// Memory knows the nanosecond, the index a fraction of a microsecond.
TEST_F(RememberedOrder, ATimeThatWasRoundedIsNoLaterUse) {
  cached("a", 100, 0s);
  order_.push_back({id("a"), index_->find(id("a")).value()->last_accessed - 300ns});
  EXPECT_THAT(make_room(100), ElementsAre("a"));
}

TEST_F(RememberedOrder, InvalidOnesGoFirstAndIncompleteOnesInTheirTurn) {
  cache_.file("invalid/bad", 4096);
  cache_.file("incomplete/half", 4096, 200s);
  cached("older", 4096, 300s);
  cached("newer", 4096, 100s);
  remember("older");
  remember("newer");
  EXPECT_THAT(make_room(1), ElementsAre("invalid/bad"));
  EXPECT_THAT(make_room(3 * 4096), ElementsAre("older", "incomplete/half", "newer"));
}

TEST_F(Eviction, TheRowsOfManyGoTogether) {
  cached("a", 100, 0s);
  cached("b", 100, 0s);
  Removals removals;
  for (const char* name : {"a", "b"}) {
    auto evicted = evict_files(layout_, index_.get(), id(name));
    ASSERT_TRUE(evicted);
    removals.files.push_back(evicted->files.front());
  }
  EXPECT_TRUE(has_row("a"));
  cached("b", 50, 0s);  // cached anew in between
  forget_rows(layout_, index_.get(), removals.files);
  EXPECT_FALSE(has_row("a"));
  EXPECT_TRUE(has_row("b"));
}

}  // namespace
}  // namespace imgcachefs
