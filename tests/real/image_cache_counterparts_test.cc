// What Glance's own tests pin of its ImageCache (test_image_cache.py, whose numbers are used here:
// images of 1 KiB, a limit of 5 KiB), asked of ours, for every driver. Each is named after Glance's
// test or method; docs/GLANCE.md has the table. No server runs here: upstream is in memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>
#include <thread>

#include "cache/eviction.h"
#include "cache/image_store.h"
#include "cache/index_driver.h"
#include "support/fake_upstream.h"
#include "support/image_bytes.h"
#include "support/scratch_cache.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t kKiB = 1024;
constexpr uint64_t kSize = kKiB;
constexpr uint64_t kMaxSize = 5 * kKiB;
using Bytes = std::vector<std::byte>;

ImageId id_of(const std::string& name) {
  return ImageId::parse(name).value();
}

class ImageCacheCounterparts : public testing::TestWithParam<std::string> {
 protected:
  ImageCacheCounterparts() {
    config_.cache_dir = cache_.dir();
    config_.source = "fake:";
    config_.driver = GetParam();
    open_store();
  }

  void open_store() { store_ = ImageStore::open(config_, upstream_).value(); }
  // The store ends, and what it knew is in the index.
  void close_store() { store_.reset(); }

  Bytes offer(const std::string& id, uint64_t size = kSize, bool with_digest = true) {
    Bytes bytes = pattern_bytes(size, std::hash<std::string>()(id));
    FakeUpstream::Image image;
    image.bytes = bytes;
    if (with_digest) image.digest = digest_of(bytes, DigestAlgo::kMd5);
    upstream_.put(id, std::move(image));
    return bytes;
  }

  std::shared_ptr<Image> lookup(const std::string& id) {
    std::promise<Result<std::shared_ptr<Image>>> answer;
    store_->lookup(id_of(id), [&](auto image) { answer.set_value(std::move(image)); });
    return answer.get_future().get().value();
  }
  std::unique_ptr<ImageHandle> open(const std::string& id) {
    for (;;) {
      std::promise<Result<std::unique_ptr<ImageHandle>>> answer;
      store_->open_image(lookup(id), [&](auto handle) { answer.set_value(std::move(handle)); });
      auto handle = answer.get_future().get();
      if (handle || handle.error().kind != ErrorKind::kStale) return std::move(handle).value();
    }
  }
  static Result<Bytes> read(ImageHandle& handle, ByteRange range) {
    std::promise<Result<Bytes>> answer;
    handle.read(range, [&](Result<ImageBytes> got) {
      if (!got) return answer.set_value(fail(got.error()));
      answer.set_value(bytes_of(*got));
    });
    return answer.get_future().get();
  }
  // All of it, as a program reads; what came before an error, and the error.
  std::pair<Bytes, std::optional<ErrorKind>> read_all(const std::string& id) {
    const auto handle = open(id);
    Bytes all;
    for (;;) {
      auto piece = read(*handle, {all.size(), all.size() + (64 << 10)});
      if (!piece) return {std::move(all), piece.error().kind};
      if (piece->empty()) return {std::move(all), std::nullopt};
      all.insert(all.end(), piece->begin(), piece->end());
    }
  }
  // Glance's cache_image_file: here the image comes from upstream, so reading it caches it.
  void cache_image(const std::string& id, uint64_t size = kSize) {
    const Bytes bytes = offer(id, size);
    ASSERT_EQ(read_all(id).first, bytes);
    ASSERT_TRUE(is_cached(id));
    // Who filled it lets go of it a moment later.
    ASSERT_TRUE(eventually([&] { return !in_use(id); }));
  }
  bool in_use(const std::string& id) {
    const auto fd = posix::open_at(tool().dir(Place::kCached), id, O_RDONLY).value();
    return !posix::try_lock(fd.get(), posix::LockMode::kExclusive);
  }

  bool is_cached(const std::string& id) { return cache_.has(id); }
  bool is_being_cached(const std::string& id) { return cache_.has("incomplete/" + id); }
  std::vector<std::string> names(Place place) {
    std::vector<std::string> found;
    const auto ids = tool().names(place).value();
    for (const ImageId& id : ids) found.push_back(id.str());
    std::sort(found.begin(), found.end());
    return found;
  }
  // As imgcachectl works on it, beside the daemon.
  CacheLayout& tool() {
    if (!tool_) tool_.emplace(CacheLayout::open(cache_.dir(), CacheLayout::Access::kTool).value());
    return *tool_;
  }
  CacheIndex& index() {
    if (!index_) index_ = open_existing_index(tool()).value();
    return *index_;
  }
  // Used now, a little later than what was used before.
  void use(const std::string& id) {
    used_at_ += 60s;
    ASSERT_TRUE(index().add_accesses({{id_of(id), 1, used_at_}}));
  }
  uint64_t get_hit_count(const std::string& id) {
    const auto found = index().find(id_of(id)).value();
    return found ? found->hits : 0;
  }
  bool eventually(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (std::chrono::steady_clock::now() < until) {
      if (condition()) return true;
      std::this_thread::sleep_for(5ms);
    }
    return condition();
  }

  ScratchCache cache_;
  FakeUpstream upstream_;
  StoreConfig config_;
  std::unique_ptr<ImageStore> store_;
  std::optional<CacheLayout> tool_;
  std::unique_ptr<CacheIndex> index_;
  WallTime used_at_ =
      std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now() + 60s);
};

TEST_P(ImageCacheCounterparts, IsCached) {
  offer("1");
  EXPECT_FALSE(is_cached("1"));
  EXPECT_FALSE(lookup("1")->is_cached());
  cache_image("1");
  EXPECT_TRUE(lookup("1")->is_cached());
}

TEST_P(ImageCacheCounterparts, ReadAndOpenForRead) {
  cache_image("1");
  const uint64_t sent = upstream_.sent();
  EXPECT_EQ(read_all("1").first, pattern_bytes(kSize, std::hash<std::string>()("1")));
  EXPECT_EQ(upstream_.sent(), sent);
}

TEST_P(ImageCacheCounterparts, GetHitCount) {
  cache_image("1");
  EXPECT_EQ(get_hit_count("unknown"), 0u);
  EXPECT_EQ(get_hit_count("1"), 0u);
  read_all("1");
  read_all("1");
  EXPECT_EQ(lookup("1")->details().hits, 2u);  // at once to who asks the daemon
  EXPECT_TRUE(eventually([&] { return get_hit_count("1") == 2; }));
}

TEST_P(ImageCacheCounterparts, GetImageSizeAndGetCacheSize) {
  cache_image("1");
  cache_image("2", 3 * kKiB);
  EXPECT_EQ(lookup("2")->attr().size, 3 * kKiB);
  EXPECT_EQ(index().find(id_of("2")).value()->size, 3 * kKiB);
  // Counted from the directory: what lands in the moment of a count is in the figure twice for a
  // while.
  close_store();
  open_store();
  EXPECT_EQ(store_->space().used, 4 * kKiB);
}

TEST_P(ImageCacheCounterparts, GetCachedImages) {
  const WallTime before =
      std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now() - 2s);
  for (const char* id : {"b", "c", "a"}) cache_image(id);
  read_all("c");
  close_store();
  std::vector<std::string> ids;
  const auto records = index().all().value();
  for (const IndexRecord& record : records) {
    ids.push_back(record.id.str());
    EXPECT_EQ(record.size, kSize);
    EXPECT_EQ(record.hits, record.id.str() == "c" ? 1u : 0u);
    EXPECT_GT(record.last_modified, before);
    EXPECT_GE(record.last_accessed + 1s, record.last_modified);
  }
  EXPECT_THAT(ids, ElementsAre("a", "b", "c"));
}

TEST_P(ImageCacheCounterparts, IsBeingCachedAndIsCacheable) {
  config_.fill = FillMode::kDemand;
  close_store();
  open_store();
  const Bytes bytes = offer("1", 256 * kKiB);
  EXPECT_FALSE(lookup("1")->is_cached());
  EXPECT_FALSE(is_being_cached("1"));  // a look at it is nothing yet
  const auto handle = open("1");
  ASSERT_TRUE(read(*handle, {0, 10}));
  EXPECT_TRUE(is_being_cached("1"));
  EXPECT_FALSE(is_cached("1"));
  EXPECT_EQ(read_all("1").first, bytes);
  EXPECT_FALSE(is_being_cached("1"));
  EXPECT_TRUE(is_cached("1"));
}

TEST_P(ImageCacheCounterparts, Delete) {
  cache_image("1");
  const Removals removed = evict(tool(), &index(), id_of("1")).value();
  EXPECT_EQ(removed.bytes, kSize);
  EXPECT_FALSE(is_cached("1"));
  EXPECT_EQ(index().find(id_of("1")).value(), std::nullopt);
  // Glance says nothing of one that is not there.
  EXPECT_EQ(evict(tool(), &index(), id_of("1")).error().kind, ErrorKind::kNotFound);
}

TEST_P(ImageCacheCounterparts, DeleteAll) {
  for (const char* id : {"1", "2"}) cache_image(id);
  const Removals removed = prune(tool(), &index(), 0, false).value();
  EXPECT_EQ(removed.files.size(), 2u);
  EXPECT_THAT(names(Place::kCached), IsEmpty());
  EXPECT_THAT(index().all().value(), IsEmpty());
}

TEST_P(ImageCacheCounterparts, CleanInvalidPath) {
  close_store();  // whose janitor cleans too
  cache_.file("invalid/1", 10);
  EXPECT_EQ(clean(tool(), config_.stall_time, false).value().files.size(), 1u);
  EXPECT_FALSE(cache_.has("invalid/1"));
}

TEST_P(ImageCacheCounterparts, CleanStalled) {
  close_store();  // whose janitor cleans too
  cache_.file("incomplete/1", 10);
  EXPECT_EQ(clean(tool(), 0s, false).value().files.size(), 1u);
  EXPECT_FALSE(is_being_cached("1"));
}

TEST_P(ImageCacheCounterparts, CleanStalledNoneStallTime) {
  close_store();  // whose janitor cleans too
  cache_.file("incomplete/1", 10, 48h);
  cache_.file("incomplete/2", 10);
  clean(tool(), config_.stall_time, false).value();  // a day, when nothing is said
  EXPECT_FALSE(is_being_cached("1"));
  EXPECT_TRUE(is_being_cached("2"));
}

TEST_P(ImageCacheCounterparts, CleanStalledNonzeroStallTime) {
  close_store();  // whose janitor cleans too
  cache_.file("incomplete/1", 10, 24h);
  cache_.file("incomplete/2", 10);
  clean(tool(), 3600s, false).value();
  EXPECT_FALSE(is_being_cached("1"));
  EXPECT_TRUE(is_being_cached("2"));
}

// A file that cannot be taken away is left, and the others go all the same.
TEST_P(ImageCacheCounterparts, CleanStalledFails) {
  close_store();  // whose janitor cleans too
  for (const char* id : {"1", "2"}) cache_.file(std::string("incomplete/") + id, 10, 24h);
  const InUse writer(cache_.path("incomplete/1"));
  EXPECT_EQ(clean(tool(), 3600s, false).value().files.size(), 1u);
  EXPECT_TRUE(is_being_cached("1"));
  EXPECT_FALSE(is_being_cached("2"));
}

TEST_P(ImageCacheCounterparts, Prune) {
  for (int i = 0; i < 10; ++i) cache_image(std::to_string(i));
  for (int i = 0; i < 10; ++i) use(std::to_string(i));
  // One more, never read again: that it was cached counts as an access.
  cache_.file("10", kSize);
  used_at_ += 60s;
  ASSERT_TRUE(
      index().put({id_of("10"), kSize, 0, used_at_, used_at_, std::nullopt, false, {}, false}));
  const Removals removed = prune(tool(), &index(), kMaxSize, false).value();
  EXPECT_EQ(removed.files.size(), 6u);
  EXPECT_EQ(removed.bytes, 6 * kSize);
  EXPECT_THAT(names(Place::kCached), ElementsAre("10", "6", "7", "8", "9"));
  // At the limit nothing goes.
  EXPECT_THAT(prune(tool(), &index(), kMaxSize, false).value().files, IsEmpty());
}

TEST_P(ImageCacheCounterparts, InsertionCountsAsAnAccess) {
  cache_image("new");
  const auto record = index().find(id_of("new")).value();
  ASSERT_TRUE(record);
  EXPECT_GE(record->last_accessed + 1s, record->last_modified);
  EXPECT_EQ(record->hits, 0u);
}

TEST_P(ImageCacheCounterparts, PruneToZero) {
  for (const char* id : {"1", "2", "3"}) cache_image(id);
  EXPECT_EQ(prune(tool(), &index(), 0, false).value().bytes, 3 * kSize);
  EXPECT_THAT(names(Place::kCached), IsEmpty());
}

TEST_P(ImageCacheCounterparts, GetLeastRecentlyAccessed) {
  for (const char* id : {"1", "2", "3"}) cache_image(id);
  for (const char* id : {"2", "3", "1"}) use(id);
  const auto removed = prune(tool(), &index(), 2 * kSize, true).value();
  ASSERT_EQ(removed.files.size(), 1u);
  EXPECT_EQ(removed.files[0].id.str(), "2");
  EXPECT_EQ(removed.files[0].bytes, kSize);
}

TEST_P(ImageCacheCounterparts, GetLeastRecentlyAccessedOsError) {
  for (const char* id : {"1", "2"}) cache_image(id);
  use("2");
  // A row without its file, the oldest: nothing to be freed there, and no error.
  std::filesystem::remove(cache_.path("1"));
  const auto removed = prune(tool(), &index(), 0, false).value();
  EXPECT_EQ(removed.bytes, kSize);
  EXPECT_THAT(names(Place::kCached), IsEmpty());
}

TEST_P(ImageCacheCounterparts, OpenForWriteGood) {
  cache_image("1");
  for (const Place place : {Place::kIncomplete, Place::kInvalid, Place::kMaps})
    EXPECT_THAT(names(place), IsEmpty());
}

// Glance moves what it has to invalid/ and begins anew; ours stays, and is gone on with.
TEST_P(ImageCacheCounterparts, OpenForWriteWithException) {
  config_.fill = FillMode::kDemand;
  close_store();
  open_store();
  const Bytes bytes = offer("1", 256 * kKiB);
  {
    const auto handle = open("1");
    ASSERT_TRUE(read(*handle, {0, 10}));
    upstream_.fail_with(Error{ErrorKind::kUnavailable, "gone"});
    EXPECT_EQ(read(*handle, {128 * kKiB, 128 * kKiB + 10}).error().kind, ErrorKind::kUnavailable);
  }
  EXPECT_FALSE(is_cached("1"));
  EXPECT_THAT(names(Place::kInvalid), IsEmpty());
  upstream_.fail_with(std::nullopt);
  const uint64_t sent = upstream_.sent();
  EXPECT_EQ(read_all("1").first, bytes);
  EXPECT_EQ(upstream_.sent() - sent, bytes.size() - config_.chunk_size);
  EXPECT_TRUE(is_cached("1"));
}

TEST_P(ImageCacheCounterparts, CachingIterator) {
  const Bytes bytes = offer("1", kSize, false);  // no checksum
  EXPECT_EQ(read_all("1").first, bytes);
  EXPECT_TRUE(is_cached("1"));
  EXPECT_FALSE(lookup("1")->details().verified);
  for (const Place place : {Place::kIncomplete, Place::kInvalid, Place::kMaps})
    EXPECT_THAT(names(place), IsEmpty());
}

// Where Glance may end a stream early without a word, ours has an error.
TEST_P(ImageCacheCounterparts, CachingIteratorHandlesBackendFailure) {
  offer("1", 256 * kKiB);
  const auto handle = open("1");
  upstream_.fail_with(Error{ErrorKind::kUnavailable, "gone"});
  EXPECT_EQ(read(*handle, {0, 256 * kKiB}).error().kind, ErrorKind::kUnavailable);
  EXPECT_FALSE(is_cached("1"));
}

// A reader who leaves after the first piece ends nothing.
TEST_P(ImageCacheCounterparts, CachingIteratorFalloffend) {
  config_.fill = FillMode::kFull;
  close_store();
  open_store();
  const Bytes bytes = offer("1", 1 << 20);
  {
    const auto handle = open("1");
    EXPECT_EQ(read(*handle, {0, 4096}).value(), Bytes(bytes.begin(), bytes.begin() + 4096));
  }
  EXPECT_TRUE(eventually([&] { return is_cached("1"); }));
  EXPECT_THAT(names(Place::kInvalid), IsEmpty());
  EXPECT_EQ(read_all("1").first, bytes);
}

TEST_P(ImageCacheCounterparts, GateCachingIterGoodChecksum) {
  cache_image("1");
  const ImageDetails details = lookup("1")->details();
  EXPECT_TRUE(details.verified);
  EXPECT_EQ(details.checksum->algo, DigestAlgo::kMd5);
}

// Glance raises after it has given out all the data; ours before.
TEST_P(ImageCacheCounterparts, GateCachingIterBadChecksum) {
  FakeUpstream::Image image;
  image.bytes = pattern_bytes(256 * kKiB);
  image.digest = digest_of(pattern_bytes(10), DigestAlgo::kMd5);
  upstream_.put("1", image);
  const auto [bytes, error] = read_all("1");
  EXPECT_EQ(error, ErrorKind::kCorrupt);
  EXPECT_LT(bytes.size(), image.bytes.size());
  EXPECT_FALSE(is_cached("1"));
  EXPECT_THAT(names(Place::kInvalid), ElementsAre("1"));
}

TEST_P(ImageCacheCounterparts, GetCachingIterWhenOpenFails) {
  const Bytes bytes = offer("1", 256 * kKiB);
  std::filesystem::create_directories(cache_.path("incomplete/1/in the way"));
  EXPECT_EQ(read_all("1").first, bytes);
  EXPECT_FALSE(is_cached("1"));
}

// Two first readers: Glance may publish a file that the second one has emptied.
TEST_P(ImageCacheCounterparts, TwoFirstReaders) {
  const Bytes bytes = offer("1", 1 << 20);
  const auto first = open("1"), second = open("1");
  std::thread other([&] { EXPECT_EQ(read(*second, {0, 64 << 10}).value().size(), 64u << 10); });
  EXPECT_EQ(read_all("1").first, bytes);
  other.join();
  EXPECT_TRUE(is_cached("1"));
  EXPECT_EQ(upstream_.sent(), bytes.size());
  EXPECT_EQ(read_all("1").first, bytes);
}

INSTANTIATE_TEST_SUITE_P(Drivers, ImageCacheCounterparts, testing::Values("sqlite", "xattr"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace imgcachefs::test
