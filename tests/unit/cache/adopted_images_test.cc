// What a daemon does with cached files that it has not cached itself, with both drivers.
#include "cache/adopted_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "cache/image_store.h"
#include "cache/index_driver.h"
#include "support/fake_upstream.h"
#include "support/image_bytes.h"
#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using test::digest_of;
using test::FakeUpstream;
using test::pattern_bytes;
using testing::HasSubstr;
using Bytes = std::vector<std::byte>;

constexpr uint64_t kMiB = 1 << 20;
constexpr auto kPatience = 20s;

ImageId id_of(const std::string& name) {
  return ImageId::parse(name).value();
}

class AdoptedImagesTest : public testing::TestWithParam<const char*> {
 protected:
  AdoptedImagesTest() {
    config_.cache_dir = cache_.dir();
    config_.source = "fake:";
    config_.driver = GetParam();
  }
  ~AdoptedImagesTest() override { store_.reset(); }

  void mount() {
    forgotten_ = 0;
    store_ = ImageStore::open(config_, upstream_).value();
    store_->on_forget_bytes([this](const Image& image) { forgotten_ = image.serial(); });
    ASSERT_EQ(store_->status().driver, GetParam());
  }
  FakeUpstream::Image image_of(const Bytes& bytes) {
    FakeUpstream::Image image;
    image.bytes = bytes;
    image.digest = digest_of(bytes);
    return image;
  }
  // A cached file that came without us.
  void adopt(const std::string& name, const Bytes& bytes) {
    std::filesystem::create_directories(cache_.dir());
    std::ofstream(cache_.path(name), std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }
  std::shared_ptr<Image> lookup(const std::string& name) {
    std::promise<Result<std::shared_ptr<Image>>> answer;
    store_->lookup(id_of(name), [&](auto image) { answer.set_value(std::move(image)); });
    return answer.get_future().get().value();
  }
  Result<std::unique_ptr<ImageHandle>> open(const std::shared_ptr<Image>& image) {
    std::promise<Result<std::unique_ptr<ImageHandle>>> answer;
    store_->open_image(image, [&](auto handle) { answer.set_value(std::move(handle)); });
    return answer.get_future().get();
  }
  static Bytes read_all(ImageHandle& handle, uint64_t size) {
    Bytes all;
    while (all.size() < size) {
      auto promise = std::make_shared<std::promise<Bytes>>();
      handle.read({all.size(), all.size() + (128 << 10)}, [promise](Result<ImageBytes> got) {
        promise->set_value(got ? bytes_of(*got) : Bytes{});
      });
      const Bytes piece = promise->get_future().get();
      if (piece.empty()) break;
      all.insert(all.end(), piece.begin(), piece.end());
    }
    return all;
  }
  static std::optional<ErrorKind> read_error(ImageHandle& handle) {
    std::promise<std::optional<ErrorKind>> answer;
    handle.read({0, 1}, [&](Result<ImageBytes> got) {
      answer.set_value(got ? std::nullopt : std::optional(got.error().kind));
    });
    return answer.get_future().get();
  }
  bool eventually(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!condition() && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(5ms);
    return condition();
  }
  bool verified(const std::string& name) { return lookup(name)->details().verified; }
  // As another program sees it.
  std::optional<IndexRecord> row(const std::string& name) {
    auto layout = CacheLayout::open(cache_.dir(), CacheLayout::Access::kTool).value();
    return open_existing_index(layout).value()->find(id_of(name)).value();
  }
  std::string user_error(const std::string& name) {
    UniqueFd fd(::open(cache_.path(name).c_str(), O_RDONLY));
    return posix::get_xattr(fd.get(), "user.error").value_or("no attributes").value_or("none");
  }

  test::ScratchCache cache_;
  FakeUpstream upstream_;
  StoreConfig config_;
  std::atomic<uint64_t> forgotten_{0};
  std::unique_ptr<ImageStore> store_;
};

TEST_P(AdoptedImagesTest, ARightOneIsVerifiedOnceAfterItsFirstOpen) {
  const Bytes bytes = pattern_bytes(3 * kMiB + 5);
  for (const char* name : {"a", "b"}) {
    upstream_.put(name, image_of(bytes));
    adopt(name, bytes);
  }
  mount();
  ASSERT_TRUE(lookup("b"));
  {
    auto image = lookup("a");
    EXPECT_FALSE(image->details().verified);
    auto handle = open(image).value();
    ASSERT_TRUE(eventually([&] { return verified("a"); }));
    EXPECT_EQ(read_all(*handle, bytes.size()), bytes);
    EXPECT_EQ(lookup("a"), image);  // the same version, the same node
    EXPECT_EQ(image->details().checksum, digest_of(bytes));
  }
  EXPECT_EQ(row("a")->checksum, digest_of(bytes));
  EXPECT_TRUE(row("a")->verified);
  EXPECT_FALSE(row("b")->verified);  // nobody has opened it
  const unsigned asked = upstream_.digests_asked();
  ASSERT_TRUE(open(lookup("a")));
  // It is remembered, and the counts of others are not lost by it.
  ASSERT_TRUE(eventually([&] { return row("a")->hits == 2; }));
  store_.reset();
  mount();
  ASSERT_TRUE(open(lookup("a")));
  ASSERT_TRUE(eventually([&] { return row("a")->hits == 3; }));
  EXPECT_TRUE(row("a")->verified);
  EXPECT_EQ(upstream_.digests_asked(), asked);
  EXPECT_EQ(upstream_.sent(), 0u);
}

TEST_P(AdoptedImagesTest, AWrongOneMakesWayAndTheNextOpenIsRight) {
  const Bytes bytes = pattern_bytes(3 * kMiB + 5);
  Bytes harmed = bytes;
  harmed[2 * kMiB] ^= std::byte{1};
  for (const bool by_stat : {false, true}) {
    const std::string name = by_stat ? "told" : "asked";
    auto image = image_of(bytes);
    image.stat_tells_digest = by_stat;
    upstream_.put(name, image);
    adopt(name, harmed);
    mount();
    auto old = lookup(name);
    auto handle = open(old).value();
    ASSERT_TRUE(eventually([&] { return forgotten_ == old->serial(); }));
    EXPECT_FALSE(cache_.has(name));
    EXPECT_THAT(user_error("invalid/" + name), HasSubstr("wrong checksum"));
    EXPECT_FALSE(row(name));
    EXPECT_EQ(store_->status().counters.verify_failures, 1u);
    // Who has it open gets no more of it, and the old node opens nothing any more.
    EXPECT_EQ(handle->complete_fd(), -1);
    EXPECT_EQ(handle->passthrough_file().fd, -1);
    EXPECT_EQ(read_error(*handle), ErrorKind::kCorrupt);
    EXPECT_EQ(open(old).error().kind, ErrorKind::kStale);

    auto fresh = lookup(name);
    EXPECT_NE(fresh->serial(), old->serial());
    EXPECT_EQ(read_all(*open(fresh).value(), bytes.size()), bytes);
    ASSERT_TRUE(eventually([&] { return cache_.has(name); }));
    ASSERT_TRUE(eventually([&] { return verified(name); }));
    handle.reset();
    const StoreCounters counters = store_->status().counters;
    EXPECT_EQ(counters.fills_completed, 1u);
    EXPECT_EQ(counters.fills_failed, 0u);
    EXPECT_EQ(counters.misses, 1u);
    EXPECT_EQ(counters.for_room.images, 0u);
    // What is counted is what lies there, two files; but for the block of user.error.
    uint64_t lies_there = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(cache_.dir()))
      if (entry.path().filename() == name) lies_there += entry.file_size();
    EXPECT_EQ(lies_there, 2 * bytes.size());
    EXPECT_NEAR(static_cast<double>(store_->space().used), static_cast<double>(lies_there), 16384);
    store_.reset();
    std::filesystem::remove_all(cache_.dir());
  }
}

TEST_P(AdoptedImagesTest, WithoutAChecksumItStaysUnverifiedAndIsNotAskedAboutAgain) {
  const Bytes bytes = pattern_bytes(kMiB);
  auto image = image_of(bytes);
  image.digest.reset();
  upstream_.put("a", image);
  upstream_.put("ours", image);
  image.digest = digest_of(bytes);
  upstream_.put("z", image);
  adopt("a", bytes);
  adopt("z", bytes);
  mount();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(open(lookup("a")));
  EXPECT_EQ(read_all(*open(lookup("ours")).value(), bytes.size()), bytes);
  const unsigned for_the_fill = 1;
  ASSERT_TRUE(eventually([&] { return lookup("ours")->is_cached(); }));
  ASSERT_TRUE(open(lookup("ours")));
  // One after the other: when the last one is verified, the others had their turn.
  ASSERT_TRUE(open(lookup("z")));
  ASSERT_TRUE(eventually([&] { return verified("z"); }));
  EXPECT_FALSE(verified("a"));
  EXPECT_TRUE(cache_.has("a"));
  EXPECT_EQ(upstream_.digests_asked(), for_the_fill + 2u);
}

TEST_P(AdoptedImagesTest, ASilentUpstreamJudgesNothing) {
  const Bytes bytes = pattern_bytes(kMiB);
  upstream_.put("a", image_of(bytes));
  adopt("a", pattern_bytes(kMiB, 7));
  mount();
  upstream_.fail_with(Error{ErrorKind::kTimeout, "silent"});
  ASSERT_TRUE(open(lookup("a")));
  EXPECT_EQ(upstream_.digests_asked(), 0u);
  store_.reset();
  EXPECT_TRUE(cache_.has("a"));

  // It answers in the middle, or the daemon ends before it does.
  upstream_.fail_with(std::nullopt);
  for (const bool answers : {false, true}) {
    upstream_.close_digest_gate();
    mount();
    auto old = lookup("a");
    ASSERT_TRUE(open(old));
    ASSERT_TRUE(eventually([&] { return upstream_.digests_asked() > 0; }));
    EXPECT_TRUE(cache_.has("a"));
    if (answers) {
      upstream_.open_gates();
      EXPECT_TRUE(eventually([&] { return forgotten_ == old->serial(); }));
    }
    store_.reset();
    EXPECT_EQ(cache_.has("a"), !answers);
  }
}

// Also before the index is repaired, which is done after mounting.
TEST_P(AdoptedImagesTest, ARowProvesNothingOfAFileOfAnotherSize) {
  const Bytes bytes = pattern_bytes(kMiB);
  upstream_.put("a", image_of(bytes));
  adopt("a", bytes);
  mount();
  ASSERT_TRUE(open(lookup("a")));
  ASSERT_TRUE(eventually([&] { return verified("a"); }));
  EXPECT_GE(open(lookup("a")).value()->passthrough_file().fd, 0);
  store_.reset();
  adopt("a", pattern_bytes(kMiB + 1));
  upstream_.fail_with(Error{ErrorKind::kTimeout, "silent"});
  store_ = ImageStore::open(config_, upstream_).value();
  EXPECT_LT(open(lookup("a")).value()->passthrough_file().fd, 0);
}

TEST_P(AdoptedImagesTest, AnOutdatedListOfChecksumsCondemnsNothing) {
  const Bytes bytes = pattern_bytes(kMiB);
  auto image = image_of(bytes);
  image.outdated_digest = digest_of(pattern_bytes(10));
  upstream_.put("a", image);
  adopt("a", bytes);
  mount();
  ASSERT_TRUE(open(lookup("a")));
  EXPECT_TRUE(eventually([&] { return verified("a"); }));
  EXPECT_EQ(row("a")->checksum, digest_of(bytes));
}

TEST_P(AdoptedImagesTest, AFileThatIsPutInItsPlaceIsVerifiedToo) {
  const Bytes bytes = pattern_bytes(kMiB);
  upstream_.put("a", image_of(bytes));
  adopt("a", bytes);
  config_.revalidate.reset();  // upstream is asked for the checksum all the same
  mount();
  ASSERT_TRUE(open(lookup("a")));
  ASSERT_TRUE(eventually([&] { return verified("a"); }));
  // As Glance does it: its row goes with the file, and the next one has neither checksum nor
  // attributes.
  {
    auto layout = CacheLayout::open(cache_.dir(), CacheLayout::Access::kTool).value();
    auto index = open_existing_index(layout).value();
    std::filesystem::remove(cache_.path("a"));
    ASSERT_TRUE(index->remove(id_of("a")));
    adopt("incoming", pattern_bytes(kMiB, 9));
    std::filesystem::rename(cache_.path("incoming"), cache_.path("a"));
    ASSERT_TRUE(index->repair(layout));
  }
  auto harmed = lookup("a");
  EXPECT_FALSE(harmed->details().verified);  // and with it the index is read anew
  ASSERT_TRUE(open(harmed));
  EXPECT_TRUE(eventually([&] { return forgotten_ == harmed->serial(); }));
  EXPECT_FALSE(cache_.has("a"));
}

INSTANTIATE_TEST_SUITE_P(Drivers, AdoptedImagesTest, testing::Values("sqlite", "xattr"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace imgcachefs
