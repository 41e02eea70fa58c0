// Many threads at once on one store: readers of every kind, an upstream that changes and fails, an
// evictor, and a remount in the middle. Every byte that is served is compared with the versions the
// image ever had: a read is of one of them, and an error is one of the contract's.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <set>
#include <thread>
#include <tuple>

#include "base/log.h"
#include "cache/eviction.h"
#include "cache/image_queue.h"
#include "cache/image_store.h"
#include "cache/sqlite_index.h"
#include "support/fake_upstream.h"
#include "support/image_bytes.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using test::digest_of;
using test::FakeUpstream;
using test::pattern_bytes;

constexpr int kImages = 6;
constexpr int kReaders = 6;
constexpr int kOpensPerReader = 40;
constexpr uint64_t kSize = 3 << 20;

class Stress : public ::testing::Test {
 protected:
  using Bytes = std::vector<std::byte>;

  Stress() {
    // Made here, before any thread: ThreadSanitizer does not see into the library that makes it.
    spdlog::set_level(spdlog::level::err);
    config_.cache_dir = dir_.file("cache");
    config_.source = "fake:";
    config_.max_size = 12 << 20;  // four of the six images
    config_.revalidate = 0s;
    config_.negative_ttl = 0s;
    for (int image = 0; image < kImages; ++image) publish(image, 1);
    mount();
  }

  static std::string name(int image) { return "image-" + std::to_string(image); }
  static Bytes content(int image, int version) {
    return pattern_bytes(kSize,
                         static_cast<uint64_t>(image) * 1000 + static_cast<uint64_t>(version));
  }
  void publish(int image, int version) {
    FakeUpstream::Image made;
    made.bytes = content(image, version);
    made.etag = "\"" + std::to_string(version) + "\"";
    if (image % 3 != 0) made.digest = digest_of(made.bytes);
    made.ranges = image % 2 == 0 ? RangeSupport::kYes : RangeSupport::kNo;
    upstream_.put(name(image), std::move(made));
  }
  void mount() {
    auto store = ImageStore::open(config_, upstream_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
    store_->take_up_queue();
  }

  Result<std::unique_ptr<ImageHandle>> open(int image) {
    std::promise<Result<std::shared_ptr<Image>>> looked_up;
    store_->lookup(ImageId::parse(name(image)).value(),
                   [&](auto found) { looked_up.set_value(std::move(found)); });
    auto found = looked_up.get_future().get();
    if (!found) return fail(found.error());
    std::promise<Result<std::unique_ptr<ImageHandle>>> opened;
    store_->open_image(*found, [&](auto handle) { opened.set_value(std::move(handle)); });
    return opened.get_future().get();
  }

  static Result<Bytes> read(ImageHandle& handle, ByteRange range) {
    auto answer = std::make_shared<std::promise<Result<Bytes>>>();
    handle.read(range, [answer](Result<ImageBytes> got) {
      if (!got) return answer->set_value(fail(got.error()));
      answer->set_value(bytes_of(*got));
    });
    auto later = answer->get_future();
    if (later.wait_for(60s) != std::future_status::ready)
      return fail(ErrorKind::kIo, "a read was never answered");
    return later.get();
  }

  // One open: the version whose bytes it gave is the same for all its reads.
  void read_some(int image, std::mt19937& random) {
    auto handle = open(image);
    if (!handle) return expected(handle.error());
    std::set<int> versions;
    for (int version = 1; version <= latest_; ++version) versions.insert(version);
    const bool whole = random() % 2 == 0;
    for (int round = 0; round < 24; ++round) {
      const uint64_t begin = whole ? static_cast<uint64_t>(round) * (128 << 10) : random() % kSize;
      const ByteRange range = clip({begin, begin + (128 << 10)}, kSize);
      auto got = read(**handle, range);
      if (!got) return expected(got.error());
      ASSERT_EQ(got->size(), range.size());
      std::erase_if(versions, [&](int version) {
        const Bytes& right = contents_[static_cast<size_t>(image)][static_cast<size_t>(version)];
        return !std::equal(got->begin(), got->end(), right.begin() + static_cast<ptrdiff_t>(begin));
      });
      ASSERT_FALSE(versions.empty())
          << name(image) << ": bytes of no version, or of two, at " << begin;
      ++reads_;
    }
  }
  static void expected(const Error& error) {
    const std::set<ErrorKind> known = {ErrorKind::kStale, ErrorKind::kTimeout,
                                       ErrorKind::kUnavailable};
    EXPECT_TRUE(known.contains(error.kind)) << error.message;
  }

  static constexpr int latest_ = 4;
  test::TempDir dir_;
  FakeUpstream upstream_;
  StoreConfig config_;
  std::unique_ptr<ImageStore> store_;
  std::atomic<uint64_t> reads_{0};
  std::array<std::array<Bytes, latest_ + 1>, kImages> contents_ = [] {
    std::array<std::array<Bytes, latest_ + 1>, kImages> all;
    for (int image = 0; image < kImages; ++image)
      for (int version = 1; version <= latest_; ++version)
        all[static_cast<size_t>(image)][static_cast<size_t>(version)] = content(image, version);
    return all;
  }();
};

TEST_F(Stress, ServesNoWrongByteAndForgetsNobody) {
  for (int mounts = 0; mounts < 2; ++mounts) {
    std::atomic<int> reading{kReaders};
    std::vector<std::thread> threads;
    for (int reader = 0; reader < kReaders; ++reader)
      threads.emplace_back([&, reader] {
        std::mt19937 random(static_cast<unsigned>(reader + 100 * mounts));
        for (int i = 0; i < kOpensPerReader; ++i)
          read_some(static_cast<int>(random() % kImages), random);
        --reading;
      });
    threads.emplace_back([&] {  // upstream changes, and fails now and then
      std::mt19937 random(7);
      for (int step = 0; reading > 0; ++step) {
        publish(static_cast<int>(random() % kImages), 1 + step % latest_);
        std::this_thread::sleep_for(15ms);
        if (step % 5 == 0) upstream_.fail_with(Error{ErrorKind::kUnavailable, "down"});
        std::this_thread::sleep_for(5ms);
        upstream_.fail_with(std::nullopt);
      }
    });
    threads.emplace_back([&] {  // imgcachectl beside the daemon, and who looks at its figures
      auto layout = CacheLayout::open(config_.cache_dir, CacheLayout::Access::kTool).value();
      auto index = open_sqlite_index(layout, false).value();
      std::mt19937 random(9);
      while (reading > 0) {
        auto gone = evict(layout, index.get(),
                          ImageId::parse(name(static_cast<int>(random() % kImages))).value());
        EXPECT_TRUE(gone || gone.error().kind != ErrorKind::kIo) << gone.error().message;
        const auto wanted = ImageId::parse(name(static_cast<int>(random() % kImages))).value();
        EXPECT_TRUE(ImageQueue(layout).queue_image(wanted, false));
        std::ignore = ImageQueue(layout).renew(wanted);  // it may have left the queue already
        EXPECT_LE(store_->status().space.limit, config_.max_size);
        std::this_thread::sleep_for(20ms);
      }
    });
    threads.emplace_back([&] {  // a Glance that begins to fill, whatever lies there, and gives up
      std::mt19937 random(11);
      const std::filesystem::path cache(config_.cache_dir);
      while (reading > 0) {
        const std::string victim = name(static_cast<int>(random() % kImages));
        std::ofstream(cache / "incomplete" / victim, std::ios::binary | std::ios::trunc)
            << "GLANCE";
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 4));
        std::error_code gone;
        std::filesystem::rename(cache / "incomplete" / victim, cache / "invalid" / victim, gone);
        std::this_thread::sleep_for(10ms);
      }
    });
    for (auto& thread : threads) thread.join();
    store_.reset();
    upstream_.fail_with(std::nullopt);
    mount();
  }
  EXPECT_GT(reads_, 100u);
}

}  // namespace
}  // namespace imgcachefs
