// What every CacheIndex does (cache/cache_index.h), whatever it keeps its rows in.

#include <functional>
#include <thread>

#include "cache/cache_index.h"
#include "cache/sqlite_index.h"
#include "cache/xattr_index.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using test::ScratchCache;
using testing::ElementsAre;
using testing::IsEmpty;

struct Driver {
  std::string name;
  std::function<Result<std::unique_ptr<CacheIndex>>(const CacheLayout&)> open;
};

void PrintTo(const Driver& driver, std::ostream* out) {  // the name of the test in CTest
  *out << driver.name;
}

ImageId id(std::string_view text) {
  return ImageId::parse(text).value();
}

const WallTime kCachedAt = from_unix(1795149842.5);
const WallTime kReadAt = from_unix(1795150000.25);

IndexRecord record(std::string_view name, uint64_t size = 1000) {
  IndexRecord r{id(name), size, 0, kCachedAt, kReadAt, std::nullopt, false, {}, false};
  r.checksum = Digest::parse_tagged("md5:0123456789abcdef0123456789abcdef").value();
  r.verified = true;
  r.validator = {"\"abc-1\"", "Fri, 20 Nov 2026 07:27:43 GMT"};
  return r;
}

class CacheIndexContract : public testing::TestWithParam<Driver> {
 protected:
  void SetUp() override {
    layout_.emplace(CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value());
    index_ = GetParam().open(*layout_).value();
  }

  // Puts a row, and the file it speaks of: some drivers keep the row on the file.
  void put(const IndexRecord& r) {
    cache_.file(r.id.str(), r.size);
    auto done = index_->put(r);
    ASSERT_TRUE(done) << done.error().message;
  }
  IndexRecord get(std::string_view name) {
    auto found = index_->find(id(name));
    EXPECT_TRUE(found && *found) << name;
    return found && *found ? **found : record("missing");
  }
  std::vector<std::string> ids() {
    std::vector<std::string> names;
    const auto records = index_->all().value();
    for (const IndexRecord& r : records) names.push_back(r.id.str());
    return names;
  }
  void repair() {
    auto done = index_->repair(*layout_);
    ASSERT_TRUE(done) << done.error().message;
  }
  void reopen() {
    index_.reset();
    index_ = GetParam().open(*layout_).value();
  }

  ScratchCache cache_;
  std::optional<CacheLayout> layout_;
  std::unique_ptr<CacheIndex> index_;
};

TEST_P(CacheIndexContract, HasNothingAtFirst) {
  EXPECT_EQ(index_->find(id("a")).value(), std::nullopt);
  EXPECT_THAT(ids(), IsEmpty());
  EXPECT_EQ(index_->source().value(), std::nullopt);
  EXPECT_EQ(index_->driver(), GetParam().name);
}

TEST_P(CacheIndexContract, GivesBackWhatWasPut) {
  put(record("a", 123456));
  reopen();
  IndexRecord r = get("a");
  EXPECT_EQ(r.size, 123456u);
  EXPECT_EQ(r.hits, 0u);
  EXPECT_EQ(r.last_modified, kCachedAt);
  EXPECT_EQ(r.last_accessed, kReadAt);
  EXPECT_EQ(r.checksum, record("a").checksum);
  EXPECT_TRUE(r.verified);
  EXPECT_EQ(r.validator, record("a").validator);
  EXPECT_FALSE(r.pinned);
}

TEST_P(CacheIndexContract, KeepsAnImageWithoutChecksumAndValidator) {
  IndexRecord bare = record("a");
  bare.checksum.reset();
  bare.verified = false;
  bare.validator = {};
  put(bare);
  IndexRecord r = get("a");
  EXPECT_EQ(r.checksum, std::nullopt);
  EXPECT_FALSE(r.verified);
  EXPECT_EQ(r.validator, Validator{});
}

TEST_P(CacheIndexContract, NamesAreCarriedByteForByte) {
  const std::string odd = "sha256:ab'c\"; DROP TABLE x --%_ ü";
  put(record(odd));
  EXPECT_EQ(get(odd).id.str(), odd);
  EXPECT_EQ(index_->find(id("SHA256:AB")).value(), std::nullopt);
  EXPECT_TRUE(index_->remove(id(odd)));
  EXPECT_THAT(ids(), IsEmpty());
}

TEST_P(CacheIndexContract, AllAreOrderedById) {
  for (const char* name : {"b", "a10", "c", "B", "a2"}) put(record(name));
  EXPECT_THAT(ids(), ElementsAre("B", "a10", "a2", "b", "c"));
}

TEST_P(CacheIndexContract, PutReplacesAllOfARowButThePin) {
  put(record("a", 10));
  ASSERT_TRUE(index_->add_accesses({{id("a"), 7, kReadAt + 10s}}));
  ASSERT_TRUE(index_->set_pinned(id("a"), true));
  IndexRecord other = record("a", 20);
  other.checksum.reset();
  other.verified = false;
  other.validator = {"\"new\"", ""};
  other.last_modified = kCachedAt + 60s;
  put(other);
  IndexRecord r = get("a");
  EXPECT_EQ(r.size, 20u);
  EXPECT_EQ(r.hits, 0u);
  EXPECT_EQ(r.last_modified, kCachedAt + 60s);
  EXPECT_EQ(r.last_accessed, kReadAt);
  EXPECT_EQ(r.checksum, std::nullopt);
  EXPECT_FALSE(r.verified);
  EXPECT_EQ(r.validator, (Validator{"\"new\"", ""}));
  EXPECT_TRUE(r.pinned);
}

TEST_P(CacheIndexContract, AccessesAddUpAndTheLastOneCounts) {
  put(record("a"));
  put(record("b"));
  ASSERT_TRUE(index_->add_accesses({{id("a"), 2, kReadAt + 5s}, {id("unknown"), 1, kReadAt}}));
  ASSERT_TRUE(index_->add_accesses({{id("a"), 3, kReadAt + 2s}}));  // told late
  ASSERT_TRUE(index_->add_accesses({}));
  EXPECT_EQ(get("a").hits, 5u);
  EXPECT_EQ(get("a").last_accessed, kReadAt + 5s);
  EXPECT_EQ(get("a").last_modified, kCachedAt);
  EXPECT_EQ(get("b").hits, 0u);
  EXPECT_THAT(ids(), ElementsAre("a", "b"));
}

TEST_P(CacheIndexContract, RemovingIsForgettingThePinToo) {
  put(record("a"));
  ASSERT_TRUE(index_->set_pinned(id("a"), true));
  ASSERT_TRUE(index_->remove(id("a")));
  ASSERT_TRUE(index_->remove(id("a")));  // none there is no error
  EXPECT_EQ(index_->find(id("a")).value(), std::nullopt);
  put(record("a"));
  EXPECT_FALSE(get("a").pinned);
}

TEST_P(CacheIndexContract, PinsAndUnpins) {
  put(record("a"));
  ASSERT_TRUE(index_->set_pinned(id("a"), true));
  reopen();
  EXPECT_TRUE(get("a").pinned);
  EXPECT_TRUE(get("a").verified);  // nothing else of the row changed
  ASSERT_TRUE(index_->set_pinned(id("a"), false));
  EXPECT_FALSE(get("a").pinned);
  auto none = index_->set_pinned(id("b"), true);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kNotFound);
}

TEST_P(CacheIndexContract, RemembersItsSource) {
  ASSERT_TRUE(index_->set_source("http://one/"));
  ASSERT_TRUE(index_->set_source("http://two/'quoted'"));
  reopen();
  EXPECT_EQ(index_->source().value(), "http://two/'quoted'");
}

TEST_P(CacheIndexContract, RepairForgetsRowsWithoutFile) {
  put(record("stays"));
  put(record("gone"));
  ASSERT_TRUE(index_->set_pinned(id("gone"), true));
  std::filesystem::remove(cache_.path("gone"));
  repair();
  EXPECT_THAT(ids(), ElementsAre("stays"));
  EXPECT_TRUE(get("stays").verified);
  put(record("gone"));
  EXPECT_FALSE(get("gone").pinned);
}

TEST_P(CacheIndexContract, RepairAdoptsFilesWithoutRow) {
  cache_.file("orphan", 4321, 3600s);
  repair();
  IndexRecord r = get("orphan");
  EXPECT_EQ(r.size, 4321u);
  EXPECT_EQ(r.hits, 0u);
  EXPECT_FALSE(r.verified);
  EXPECT_EQ(r.checksum, std::nullopt);
  const auto age = std::chrono::system_clock::now() - r.last_modified;
  EXPECT_GE(age, 3599s);
  EXPECT_LT(age, 3900s);
  EXPECT_GE(r.last_accessed, r.last_modified);
}

TEST_P(CacheIndexContract, RepairDistrustsAnImageOfAnotherSize) {
  put(record("a", 100));
  put(record("b", 100));
  ASSERT_TRUE(index_->add_accesses({{id("a"), 3, kReadAt}}));
  ASSERT_TRUE(index_->set_pinned(id("a"), true));
  cache_.file("a", 99);
  repair();
  IndexRecord r = get("a");
  EXPECT_EQ(r.size, 99u);
  EXPECT_FALSE(r.verified);
  EXPECT_EQ(r.checksum, std::nullopt);
  EXPECT_EQ(r.validator, Validator{});
  EXPECT_EQ(r.hits, 3u);
  EXPECT_TRUE(r.pinned);
  EXPECT_TRUE(get("b").verified);
}

TEST_P(CacheIndexContract, RepairOfASoundIndexChangesNothing) {
  put(record("a"));
  ASSERT_TRUE(index_->add_accesses({{id("a"), 3, kReadAt + 9s}}));
  repair();
  IndexRecord r = get("a");
  EXPECT_EQ(r.hits, 3u);
  EXPECT_EQ(r.last_accessed, kReadAt + 9s);
  EXPECT_TRUE(r.verified);
}

TEST_P(CacheIndexContract, ThreadsMayUseItAtOnce) {
  put(record("shared"));
  constexpr int kThreads = 8, kRounds = 20;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        IndexRecord own = record("t" + std::to_string(t));
        put(own);
        EXPECT_TRUE(index_->add_accesses({{id("shared"), 1, kReadAt}, {own.id, 1, kReadAt}}));
        EXPECT_TRUE(index_->find(own.id).value());
        EXPECT_TRUE(index_->all());
        EXPECT_TRUE(index_->remove(own.id));
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(get("shared").hits, uint64_t{kThreads * kRounds});
  EXPECT_THAT(ids(), ElementsAre("shared"));
}

// The file that a commit is about to name carries already what Glance cannot do without.
TEST_P(CacheIndexContract, WhatIsStagedIsOnTheFileBeforeItHasItsName) {
  cache_.file("incomplete/a", 1000);
  const IndexRecord r = record("a");
  {
    auto fd = posix::open_at(layout_->dir(Place::kIncomplete), "a", O_RDWR).value();
    ASSERT_TRUE(index_->stage(fd.get(), r));
    EXPECT_EQ(posix::get_xattr(fd.get(), "user.hits").value(), "0");
  }
  EXPECT_EQ(index_->find(id("a")).value(), std::nullopt);
  std::filesystem::rename(cache_.path("incomplete/a"), cache_.path("a"));
  ASSERT_TRUE(index_->put(r));
  EXPECT_TRUE(get("a").verified);
  EXPECT_EQ(get("a").hits, 0u);
  EXPECT_EQ(get("a").validator, r.validator);
}

TEST_P(CacheIndexContract, APinSurvivesTheCommitOfAnotherFile) {
  put(record("a"));
  ASSERT_TRUE(index_->set_pinned(id("a"), true));
  cache_.file("incomplete/a", 2000);
  const IndexRecord r = record("a", 2000);
  {
    auto fd = posix::open_at(layout_->dir(Place::kIncomplete), "a", O_RDWR).value();
    ASSERT_TRUE(index_->stage(fd.get(), r));
  }
  std::filesystem::rename(cache_.path("incomplete/a"), cache_.path("a"));
  ASSERT_TRUE(index_->put(r));
  EXPECT_TRUE(get("a").pinned);
  EXPECT_EQ(get("a").size, 2000u);
}

TEST_P(CacheIndexContract, PutTakesThePinOfANewRecord) {
  IndexRecord pinned = record("a");
  pinned.pinned = true;
  put(pinned);
  EXPECT_TRUE(get("a").pinned);
}

TEST_P(CacheIndexContract, AdoptsTheHitsThatAnAttributeKnows) {
  cache_.file("a", 10);
  cache_.file("b", 10);
  auto set = [&](const char* name, std::string_view value) {
    auto fd = posix::open_at(layout_->dir(Place::kCached), name, O_RDONLY).value();
    ASSERT_TRUE(posix::set_xattr(fd.get(), "user.hits", value));
  };
  set("a", "42");
  set("b", std::string_view("7\0", 2));  // as an older program may have written it
  repair();
  EXPECT_EQ(get("a").hits, 42u);
  EXPECT_EQ(get("b").hits, 7u);
  ASSERT_TRUE(index_->add_accesses({{id("a"), 1, kReadAt}, {id("b"), 1, kReadAt}}));
  EXPECT_EQ(get("a").hits, 43u);
  EXPECT_EQ(get("b").hits, 8u);
}

TEST_P(CacheIndexContract, AccessesOfAFileWithoutARowAreSkipped) {
  cache_.file("a", 10);
  ASSERT_TRUE(index_->add_accesses({{id("a"), 3, kReadAt}}));
  EXPECT_EQ(index_->find(id("a")).value(), std::nullopt);
  repair();
  EXPECT_EQ(get("a").hits, 0u);
}

TEST_P(CacheIndexContract, AnOlderAccessMovesNothingBack) {
  put(record("a"));
  ASSERT_TRUE(index_->add_accesses({{id("a"), 1, kReadAt - 500s}}));
  EXPECT_EQ(get("a").last_accessed, kReadAt);
  EXPECT_EQ(get("a").last_modified, kCachedAt);
  EXPECT_EQ(get("a").hits, 1u);
}

TEST_P(CacheIndexContract, SymlinksAndDirectoriesAreNoImages) {
  cache_.file("elsewhere/real", 10);
  std::filesystem::create_symlink(cache_.path("elsewhere/real"), cache_.path("link"));
  std::filesystem::create_directory(cache_.path("directory"));
  repair();
  EXPECT_THAT(ids(), IsEmpty());
  EXPECT_EQ(index_->find(id("link")).value(), std::nullopt);
  EXPECT_EQ(index_->find(id("directory")).value(), std::nullopt);
  EXPECT_FALSE(index_->set_pinned(id("link"), true));
  EXPECT_TRUE(index_->add_accesses({{id("link"), 1, kReadAt}}));
  EXPECT_TRUE(index_->remove(id("link")));
}

INSTANTIATE_TEST_SUITE_P(Drivers, CacheIndexContract,
                         testing::Values(Driver{"sqlite",
                                                [](const CacheLayout& layout) {
                                                  return open_sqlite_index(layout, true);
                                                }},
                                         Driver{"xattr", open_xattr_index}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace imgcachefs
