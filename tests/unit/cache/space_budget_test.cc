#include "cache/space_budget.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

constexpr uint64_t kKiB = 1 << 10, kMiB = 1 << 20;

class SpaceBudgetTest : public testing::Test {
 protected:
  SpaceBudgetTest()
      : layout_(CacheLayout::open(scratch_.dir(), CacheLayout::Access::kDaemon).value()) {}

  // Evicts what is asked for out of `evictable_`, or nothing when there is too little.
  SpaceBudget make(uint64_t max_size, uint64_t min_free = 0) {
    return SpaceBudget(max_size, min_free, layout_, [this](uint64_t bytes) -> uint64_t {
      asked_.push_back(bytes);
      if (bytes > evictable_) return 0;
      evictable_ -= bytes;
      budget_->freed(bytes);
      return bytes;
    });
  }

  test::ScratchCache scratch_;
  CacheLayout layout_;
  SpaceBudget* budget_ = nullptr;
  uint64_t evictable_ = 0;
  std::vector<uint64_t> asked_;
};

TEST_F(SpaceBudgetTest, PromisesNoMoreThanThereIs) {
  SpaceBudget budget = make(kMiB);
  auto first = budget.reserve(700 * kKiB);
  ASSERT_TRUE(first);
  EXPECT_EQ(budget.reserve(400 * kKiB).error().kind, ErrorKind::kNoSpace);
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_TRUE(budget.reserve(324 * kKiB));
}

TEST_F(SpaceBudgetTest, AReservationGivesBackWhatWasNotUsed) {
  SpaceBudget budget = make(kMiB);
  {
    auto room = budget.reserve(kMiB);
    ASSERT_TRUE(room);
    room->use(100 * kKiB);
    EXPECT_EQ(room->bytes(), 924 * kKiB);
    EXPECT_EQ(budget.used(), 100 * kKiB);
    SpaceReservation part = room->split(24 * kKiB), more = room->split(10 * kMiB);
    EXPECT_EQ(part.bytes(), 24 * kKiB);
    EXPECT_EQ(more.bytes(), 900 * kKiB) << "what there is";
    EXPECT_EQ(room->bytes(), 0u);
    part.merge(std::move(more));
    EXPECT_EQ(part.bytes(), 924 * kKiB);
    EXPECT_EQ(budget.reserve(kKiB).error().kind, ErrorKind::kNoSpace);
    SpaceReservation into;
    into.merge(std::move(part));
    *room = std::move(into);
    EXPECT_EQ(room->bytes(), 924 * kKiB);
  }
  EXPECT_TRUE(budget.reserve(924 * kKiB));
  EXPECT_FALSE(budget.reserve(925 * kKiB));
  EXPECT_TRUE(budget.reserve(0));
}

TEST_F(SpaceBudgetTest, WhatWasNotPromisedIsCountedAllTheSame) {
  SpaceBudget budget = make(kMiB);
  auto room = budget.reserve(10 * kKiB);
  room->use(30 * kKiB);
  EXPECT_EQ(budget.used(), 30 * kKiB);
  EXPECT_EQ(room->bytes(), 0u);
}

TEST_F(SpaceBudgetTest, EvictsJustWhatIsLacking) {
  SpaceBudget budget = make(kMiB);
  budget_ = &budget;
  budget.recount(kMiB, {});
  evictable_ = kMiB;
  auto room = budget.reserve(300 * kKiB);
  ASSERT_TRUE(room);
  EXPECT_EQ(asked_, (std::vector<uint64_t>{300 * kKiB}));
  EXPECT_EQ(budget.used(), 724 * kKiB);
}

TEST_F(SpaceBudgetTest, MoreThanTheLimitIsRefusedWithoutEvicting) {
  SpaceBudget budget = make(kMiB);
  evictable_ = 100 * kMiB;
  EXPECT_EQ(budget.reserve(kMiB + 1).error().kind, ErrorKind::kNoSpace);
  EXPECT_TRUE(asked_.empty());
}

TEST_F(SpaceBudgetTest, KeepsTheFileSystemsMinFree) {
  const auto disk = posix::statvfs_fd(layout_.dir(Place::kCached)).value();
  const uint64_t available = uint64_t{disk.f_bavail} * disk.f_frsize;
  // More than there is may be cached, but not with this much kept free.
  SpaceBudget budget = make(uint64_t{1} << 60, available + (uint64_t{1} << 40));
  budget_ = &budget;
  EXPECT_EQ(budget.reserve(kMiB).error().kind, ErrorKind::kNoSpace);
  ASSERT_FALSE(asked_.empty());
  EXPECT_GE(asked_[0], kMiB);
  EXPECT_GT(budget.excess(), 0u);
  EXPECT_EQ(make(uint64_t{1} << 60).excess(), 0u);
}

TEST_F(SpaceBudgetTest, ACountOfTheDirectoryIsBelievedLessByWhatMovedMeanwhile) {
  SpaceBudget budget = make(kMiB);
  EXPECT_TRUE(budget.recount(100 * kKiB, budget.moved()));
  const SpaceMoved before = budget.moved();
  auto room = budget.reserve(50 * kKiB);
  room->use(50 * kKiB);
  budget.freed(80 * kKiB);
  // Of what came and of what went it may have seen all or nothing.
  for (const uint64_t seen : {20 * kKiB, 100 * kKiB, 150 * kKiB}) {
    EXPECT_FALSE(budget.recount(seen, before));
    EXPECT_EQ(budget.used(), 70 * kKiB) << seen;
  }
  // Others put something there for certain, or took it away.
  EXPECT_FALSE(budget.recount(300 * kKiB, before));
  EXPECT_EQ(budget.used(), 220 * kKiB);
  EXPECT_FALSE(budget.recount(10 * kKiB, before));
  EXPECT_EQ(budget.used(), 60 * kKiB);
  EXPECT_TRUE(budget.recount(150 * kKiB, budget.moved()));
  budget.freed(10 * kMiB);  // never below nothing
  EXPECT_EQ(budget.used(), 0u);
}

TEST_F(SpaceBudgetTest, ACountWhileBytesAreOnTheirWayIsNotTheLast) {
  SpaceBudget budget = make(kMiB);
  auto room = budget.reserve(50 * kKiB);
  EXPECT_FALSE(budget.recount(50 * kKiB, budget.moved())) << "written, and not yet in the account";
  EXPECT_EQ(budget.used(), 0u);
  room->use(50 * kKiB);
  room = SpaceReservation();
  EXPECT_TRUE(budget.recount(50 * kKiB, budget.moved()));
  EXPECT_EQ(budget.used(), 50 * kKiB);
}

TEST_F(SpaceBudgetTest, ShowsTheLimitAndWhatIsUsedOfIt) {
  SpaceBudget budget = make(kMiB);
  budget.recount(5 * kMiB, {});
  EXPECT_EQ(budget.usage().limit, kMiB);
  EXPECT_EQ(budget.usage().used, kMiB) << "never more than all of it";
  EXPECT_EQ(budget.excess(), 4 * kMiB);
}

TEST_F(SpaceBudgetTest, ManyAtOnceNeverPromiseTooMuch) {
  SpaceBudget budget = make(kMiB);
  std::atomic<int> got{0};
  std::vector<SpaceReservation> kept(64);
  {
    std::vector<std::jthread> threads;
    for (auto& mine : kept)
      threads.emplace_back([&] {
        if (auto room = budget.reserve(32 * kKiB)) {
          mine = std::move(*room);
          ++got;
        }
      });
  }
  EXPECT_EQ(got, 32);
}

TEST_F(SpaceBudgetTest, WhoComesBeforeTheFirstCountWaitsForIt) {
  SpaceBudget budget = make(kMiB);
  budget.expect_count();
  Result<SpaceReservation> room = fail(ErrorKind::kIo, "not asked yet");
  std::thread asker([&] { room = budget.reserve(700 * kKiB); });
  budget.recount(400 * kKiB, budget.moved());
  asker.join();
  EXPECT_EQ(room.error().kind, ErrorKind::kNoSpace);
  EXPECT_EQ(budget.used(), 400 * kKiB);
}

TEST_F(SpaceBudgetTest, NobodyWaitsForACountThatWillNotCome) {
  SpaceBudget budget = make(kMiB);
  budget.expect_count();
  uint64_t used = 1;
  std::thread asker([&] { used = budget.used(); });
  budget.wait_no_more();
  asker.join();
  EXPECT_EQ(used, 0u);
}

}  // namespace
}  // namespace imgcachefs
