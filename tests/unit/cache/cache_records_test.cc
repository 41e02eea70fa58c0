#include "cache/cache_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <thread>

#include "cache/sqlite_index.h"
#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;

ImageId id_of(std::string_view text) {
  return ImageId::parse(text).value();
}

// An index that counts how often it is asked, and can let something happen between the moment when
// rows are read and the one when they are seen.
class CountingIndex final : public CacheIndex {
 public:
  explicit CountingIndex(std::unique_ptr<CacheIndex> index) : index_(std::move(index)) {}

  Result<std::optional<IndexRecord>> find(const ImageId& id) override {
    return ++asked, index_->find(id);
  }
  Status each(const std::function<Status(IndexRecord)>& see) override {
    ++asked;
    std::vector<IndexRecord> rows;
    const Status read = index_->each([&](IndexRecord record) -> Status {
      rows.push_back(std::move(record));
      return {};
    });
    if (!read) return read;
    if (meanwhile) meanwhile();
    for (IndexRecord& row : rows)
      if (auto seen = see(std::move(row)); !seen) return seen;
    return {};
  }
  Status stage(int fd, const IndexRecord& record) override {
    return ++asked, index_->stage(fd, record);
  }
  Status put(const IndexRecord& record) override { return ++asked, index_->put(record); }
  Status take_over(const std::vector<IndexRecord>& all) override {
    return ++asked, index_->take_over(all);
  }
  Status remove(const std::vector<ImageId>& ids) override { return ++asked, index_->remove(ids); }
  Status add_accesses(const std::vector<AccessCount>& counts) override {
    return ++asked, index_->add_accesses(counts);
  }
  Status set_pinned(const ImageId& id, bool pinned) override {
    return ++asked, index_->set_pinned(id, pinned);
  }
  Status repair(const CachedFiles& cached) override { return ++asked, index_->repair(cached); }
  Result<std::optional<std::string>> source() override { return ++asked, index_->source(); }
  Status set_source(const std::string& source) override {
    return ++asked, index_->set_source(source);
  }
  std::string driver() const override { return index_->driver(); }

  std::atomic<int> asked = 0;
  std::function<void()> meanwhile;

 private:
  std::unique_ptr<CacheIndex> index_;
};

class CacheRecordsTest : public testing::Test {
 protected:
  Status take_stock() {
    return records_.take_stock(
        [this](const auto& see) { return layout_.each(Place::kCached, see); }, {});
  }
  std::vector<std::string> least_recently_used(size_t most) {
    std::vector<std::string> names;
    for (const LastUse& use : records_.least_recently_used(most)) names.push_back(use.id.str());
    return names;
  }

  test::ScratchCache cache_;
  CacheLayout layout_ = CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value();
  CountingIndex index_{open_sqlite_index(layout_, true).value()};
  CacheRecords records_{index_};
};

TEST_F(CacheRecordsTest, ThousandsOfLooksAndOpensDoNotAskTheIndex) {
  for (int i = 0; i < 100; ++i) cache_.file("image-" + std::to_string(i), 10);
  ASSERT_TRUE(take_stock());
  index_.asked = 0;
  for (int round = 0; round < 10; ++round)
    for (int i = 0; i < 100; ++i) {
      const ImageId id = id_of("image-" + std::to_string(i));
      EXPECT_TRUE(records_.find(id));
      records_.hit(id);
    }
  EXPECT_EQ(index_.asked, 0);
  EXPECT_EQ(records_.find(id_of("image-7"))->hits, 10u);
  records_.flush();
  EXPECT_EQ(index_.asked, 1) << "all hits in one transaction";
  for (int i = 0; i < 10; ++i) records_.flush();
  EXPECT_EQ(index_.asked, 1) << "nothing happened";
}

TEST_F(CacheRecordsTest, HitsOfAnImageWithoutARowAreKeptUntilItHasOne) {
  cache_.file("a", 10);
  records_.hit(id_of("a"));
  records_.flush();
  ASSERT_TRUE(take_stock());
  records_.flush();
  EXPECT_EQ(index_.find(id_of("a")).value()->hits, 1u);
  EXPECT_EQ(records_.find(id_of("a"))->hits, 1u);
}

TEST_F(CacheRecordsTest, WhatIsLearntOfAnImageWithoutARowWaitsForIt) {
  cache_.file("a", 10);
  const Digest digest = Digest::parse_tagged("sha256:" + std::string(64, 'a')).value();
  std::thread verifier([&] { records_.set_verified(id_of("a"), digest); });
  ASSERT_TRUE(take_stock());
  verifier.join();
  EXPECT_TRUE(index_.find(id_of("a")).value()->verified);
  EXPECT_TRUE(records_.find(id_of("a"))->verified);
}

TEST_F(CacheRecordsTest, StockDoesNotForgetWhatWasLearntWhileItWasTaken) {
  cache_.file("a", 10);
  ASSERT_TRUE(take_stock());
  const Digest digest = Digest::parse_tagged("sha256:" + std::string(64, 'a')).value();
  index_.meanwhile = [&] { records_.set_verified(id_of("a"), digest); };
  ASSERT_TRUE(take_stock());
  EXPECT_TRUE(records_.find(id_of("a"))->verified);
}

TEST_F(CacheRecordsTest, NobodyWaitsForStockThatIsNotTaken) {
  std::thread verifier([&] { records_.set_validator(id_of("a"), {"etag", ""}); });
  records_.wait_no_more();
  verifier.join();
  EXPECT_FALSE(records_.find(id_of("a")));
}

TEST_F(CacheRecordsTest, StockForgetsWhatIsGoneAndKnowsWhatOthersChanged) {
  cache_.file("a", 10);
  cache_.file("b", 10);
  ASSERT_TRUE(take_stock());
  EXPECT_EQ(records_.size(), 2u);
  std::filesystem::remove(cache_.path("a"));
  ASSERT_TRUE(index_.add_accesses({{id_of("b"), 5, std::chrono::system_clock::now()}}));
  ASSERT_TRUE(take_stock());
  EXPECT_EQ(records_.size(), 1u);
  EXPECT_EQ(records_.find(id_of("b"))->hits, 5u);
}

TEST_F(CacheRecordsTest, TellsWhatWasUsedLeastRecentlyHitsNotYetWrittenIncluded) {
  for (const char* name : {"a", "b", "c", "pinned"}) {
    cache_.file(name, 10, 1h - std::chrono::seconds(name[0]));
    if (name == std::string_view("pinned")) cache_.touch(name, 2h);
  }
  ASSERT_TRUE(take_stock());
  ASSERT_TRUE(index_.set_pinned(id_of("pinned"), true));
  ASSERT_TRUE(take_stock());
  EXPECT_THAT(least_recently_used(2), testing::ElementsAre("a", "b"));
  records_.hit(id_of("a"));
  EXPECT_THAT(least_recently_used(9), testing::ElementsAre("b", "c", "a"));
}

}  // namespace
}  // namespace imgcachefs
