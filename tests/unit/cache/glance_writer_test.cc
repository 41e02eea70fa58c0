// A Glance that fills the same image at the same time: its middleware opens incomplete/<id> with
// open('wb'), whatever is there, appends, and renames it to <id>; it looks at nothing in between.
// At whatever moment it comes, no reader of ours gets a byte that is not the image's, and it finds
// its file where it left it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "cache/eviction.h"
#include "cache/image_store.h"
#include "support/fake_upstream.h"
#include "support/image_bytes.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using test::digest_of;
using test::FakeUpstream;
using test::pattern_bytes;
namespace files = std::filesystem;

using Bytes = std::vector<std::byte>;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kSize = 4 * kMiB;

// SEMANTICS: When Glance fills the same image in the same directory at the same time, every reader
// gets the image's bytes, and Glance its file.
class GlanceWriterTest : public ::testing::Test {
 protected:
  GlanceWriterTest() : bytes_(pattern_bytes(kSize, 9)) {
    config_.cache_dir = dir_.file("cache");
    config_.source = "fake:";
    upstream_.put("a", {bytes_, "\"v1\"", digest_of(bytes_), RangeSupport::kYes});
    mount();
  }
  void mount() {
    store_.reset();
    auto store = ImageStore::open(config_, upstream_);
    ASSERT_TRUE(store) << store.error().message;
    store_ = std::move(*store);
  }
  std::unique_ptr<ImageHandle> open() {
    const ImageId id = ImageId::parse("a").value();
    for (int attempt = 0; attempt < 3; ++attempt) {
      std::promise<Result<std::shared_ptr<Image>>> found;
      store_->lookup(id, [&](auto image) { found.set_value(std::move(image)); });
      auto image = found.get_future().get();
      EXPECT_TRUE(image);
      if (!image) return nullptr;
      std::promise<Result<std::unique_ptr<ImageHandle>>> opened;
      store_->open_image(*image, [&](auto handle) { opened.set_value(std::move(handle)); });
      auto handle = opened.get_future().get();
      if (handle) return std::move(*handle);
    }
    ADD_FAILURE() << "cannot be opened";
    return nullptr;
  }
  static std::future<Result<Bytes>> read_later(ImageHandle& handle, ByteRange range) {
    auto promise = std::make_shared<std::promise<Result<Bytes>>>();
    handle.read(range, [promise](Result<ImageBytes> got) {
      if (!got) return promise->set_value(fail(got.error()));
      promise->set_value(bytes_of(*got));
    });
    return promise->get_future();
  }
  Bytes right(ByteRange range) const {
    return Bytes(bytes_.begin() + static_cast<ptrdiff_t>(range.begin),
                 bytes_.begin() + static_cast<ptrdiff_t>(range.end));
  }
  void expect_right(std::future<Result<Bytes>> later, ByteRange range) {
    ASSERT_EQ(later.wait_for(20s), std::future_status::ready);
    auto got = later.get();
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_TRUE(*got == right(range)) << range.begin << "-" << range.end;
  }
  void expect_right(ImageHandle& handle, ByteRange range) {
    expect_right(read_later(handle, range), range);
  }
  void expect_all_right(ImageHandle& handle) {
    for (uint64_t at = 0; at < kSize; at += 128 << 10) expect_right(handle, {at, at + (128 << 10)});
  }
  files::path path(const std::string& name) const { return files::path(config_.cache_dir) / name; }
  Bytes content(const std::string& name) const {
    const std::string text = test::read_file(path(name));
    const auto* begin = reinterpret_cast<const std::byte*>(text.data());
    return Bytes(begin, begin + text.size());
  }

  // Glance's side.
  void glance_opens() { glance_.open(path("incomplete/a"), std::ios::binary | std::ios::trunc); }
  void glance_writes(uint64_t until) {
    glance_.write(reinterpret_cast<const char*>(bytes_.data()) + glance_at_,
                  static_cast<std::streamsize>(until - glance_at_));
    glance_.flush();
    glance_at_ = until;
  }
  void glance_commits() {
    glance_writes(kSize);
    glance_.close();
    files::rename(path("incomplete/a"), path("a"));
    EXPECT_TRUE(content("a") == bytes_);
  }

  test::TempDir dir_;
  const Bytes bytes_;
  FakeUpstream upstream_;
  StoreConfig config_;
  std::unique_ptr<ImageStore> store_;
  std::ofstream glance_;
  uint64_t glance_at_ = 0;
};

TEST_F(GlanceWriterTest, WhoComesFirstIsLeftAlone) {
  glance_opens();
  glance_writes(kMiB);
  {
    auto handle = open();
    expect_all_right(*handle);
    EXPECT_EQ(handle->complete_fd(), -1);
    EXPECT_EQ(files::file_size(path("incomplete/a")), kMiB);
    EXPECT_FALSE(files::exists(path("a")));
  }
  glance_commits();
  auto handle = open();
  expect_all_right(*handle);
  EXPECT_GE(handle->complete_fd(), 0);
}

TEST_F(GlanceWriterTest, WhatADeadOneLeftIsReplaced) {
  glance_opens();
  glance_writes(kMiB);
  glance_.close();
  files::last_write_time(path("incomplete/a"), files::file_time_type::clock::now() - 2min);
  auto handle = open();
  expect_all_right(*handle);
  EXPECT_TRUE(content("a") == bytes_);
}

// Were its file replaced, its rename would make ours, half filled, a cached one.
TEST_F(GlanceWriterTest, OneThatIsSlowIsLeftAloneToo) {
  glance_opens();
  glance_writes(kMiB);
  files::last_write_time(path("incomplete/a"), files::file_time_type::clock::now() - 2min);
  {
    auto handle = open();
    expect_all_right(*handle);
  }
  glance_commits();
}

// What it truncated has a map of ours, that of bytes which are gone.
TEST_F(GlanceWriterTest, WhoCameMeanwhileIsNotDisturbedByTheNextFill) {
  {
    auto handle = open();
    expect_right(*handle, {0, 4096});
  }
  mount();
  ASSERT_TRUE(files::exists(path("maps/a")));
  glance_opens();
  glance_writes(2 * kMiB);
  auto handle = open();
  expect_all_right(*handle);
  EXPECT_EQ(files::file_size(path("incomplete/a")), 2 * kMiB);
  glance_commits();
}

TEST_F(GlanceWriterTest, WhatWasReadBeforeIsRightAfterIt) {
  auto handle = open();
  expect_right(*handle, {0, 4096});
  glance_opens();
  expect_right(*handle, {0, 4096});  // a hole now, in the file
  expect_all_right(*handle);
  EXPECT_TRUE(files::exists(path("incomplete/a")));
  glance_commits();
}

TEST_F(GlanceWriterTest, WhoWaitsMeanwhileGetsTheRightBytes) {
  auto handle = open();
  expect_right(*handle, {0, 4096});
  upstream_.close_gate(0);
  auto later = read_later(*handle, {2 * kMiB, 3 * kMiB});
  glance_opens();
  glance_writes(kMiB / 2);
  upstream_.open_gates();
  expect_right(std::move(later), {2 * kMiB, 3 * kMiB});
  expect_all_right(*handle);
  glance_commits();
}

TEST_F(GlanceWriterTest, WhenAllBytesAreHereAndTheChecksumIsNot) {
  upstream_.close_digest_gate();
  auto handle = open();
  for (uint64_t at = 0; at + (128 << 10) < kSize; at += 128 << 10)
    expect_right(*handle, {at, at + (128 << 10)});
  auto last = read_later(*handle, {kSize - (128 << 10), kSize});
  EXPECT_EQ(last.wait_for(100ms), std::future_status::timeout);
  glance_opens();
  upstream_.open_gates();
  expect_right(std::move(last), {kSize - (128 << 10), kSize});
  expect_all_right(*handle);
  EXPECT_FALSE(files::exists(path("invalid/a")));  // nothing was wrong with it
  glance_commits();
}

// Its own file was removed in the middle, and we have begun one: its rename, by name, takes ours.
// SEMANTICS: An unfinished file of ours that Glance's rename calls cached is not served as such; it
// is taken back, and its fill goes on.
TEST_F(GlanceWriterTest, WhoseRenameTakesOurUnfinishedFile) {
  for (const bool marked : {true, false}) {
    auto handle = open();
    expect_right(*handle, {0, 4096});
    if (!marked) {  // a file system without attributes
      UniqueFd file(::open(path("incomplete/a").c_str(), O_RDWR));
      ASSERT_TRUE(posix::remove_xattr(file.get(), "user.imgcachefs.unfinished"));
    }
    files::rename(path("incomplete/a"), path("a"));
    auto other = open();
    EXPECT_EQ(other->complete_fd(), -1);
    EXPECT_FALSE(files::exists(path("a")));
    EXPECT_TRUE(files::exists(path("incomplete/a")));
    expect_all_right(*other);
    expect_all_right(*handle);
    EXPECT_TRUE(content("a") == bytes_);
    handle.reset();
    other.reset();
    store_.reset();
    files::remove_all(config_.cache_dir);
    mount();
  }
}

TEST_F(GlanceWriterTest, WhatItCalledCachedIsTakenBackWithoutALookUp) {
  auto handle = open();
  expect_right(*handle, {0, 4096});
  files::rename(path("incomplete/a"), path("a"));
  for (int i = 0; i < 1000 && files::exists(path("a")); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_FALSE(files::exists(path("a")));
  EXPECT_TRUE(files::exists(path("incomplete/a")));
  expect_all_right(*handle);
  EXPECT_TRUE(content("a") == bytes_);
}

TEST_F(GlanceWriterTest, WhatItCalledCachedWhileNobodyServedIsTakenBackAtTheStart) {
  {
    auto handle = open();
    expect_right(*handle, {0, 4096});
  }
  store_.reset();
  files::rename(path("incomplete/a"), path("a"));
  mount();
  store_->space();  // known when the directory was gone through
  EXPECT_FALSE(files::exists(path("a")));
  EXPECT_TRUE(files::exists(path("incomplete/a")));
  auto handle = open();
  expect_all_right(*handle);
  EXPECT_TRUE(content("a") == bytes_);
}

// What it truncated and filled has our mark, and is whole.
TEST_F(GlanceWriterTest, WhatItFilledInOurFileIsCached) {
  auto handle = open();
  expect_right(*handle, {0, 4096});
  glance_opens();
  glance_commits();
  auto other = open();
  EXPECT_GE(other->complete_fd(), 0);
  expect_all_right(*other);
  expect_all_right(*handle);
  EXPECT_TRUE(content("a") == bytes_);
}

TEST_F(GlanceWriterTest, WhatWasThrownAwayIsStillOurs) {
  auto handle = open();
  expect_right(*handle, {0, 4096});
  files::rename(path("incomplete/a"), path("invalid/a"));
  expect_all_right(*handle);
  EXPECT_TRUE(content("a") == bytes_);
  EXPECT_FALSE(files::exists(path("invalid/a")));
}

// SEMANTICS: An incomplete image whose file somebody removed is cached all the same when all of it
// was read.
TEST_F(GlanceWriterTest, WhatItsCleanerRemovedIsCachedAllTheSame) {
  auto handle = open();
  expect_right(*handle, {0, 4096});
  files::remove(path("incomplete/a"));
  expect_all_right(*handle);
  EXPECT_TRUE(content("a") == bytes_);
  EXPECT_GE(handle->complete_fd(), 0);
  EXPECT_FALSE(files::exists(path("incomplete/a")));
}

// Whoever takes its file away has it publish the next one of that name.
// SEMANTICS: An incomplete file that another program has open, or wrote to within the last minute,
// is not evicted.
TEST_F(GlanceWriterTest, IsNotDeprivedOfItsFileByEviction) {
  glance_opens();
  glance_writes(kMiB);
  files::last_write_time(path("incomplete/a"), files::file_time_type::clock::now() - 48h);
  const auto layout = CacheLayout::open(config_.cache_dir, CacheLayout::Access::kTool).value();
  const ImageId id = ImageId::parse("a").value();
  EXPECT_EQ(evict(layout, nullptr, id).error().kind, ErrorKind::kBusy);
  EXPECT_TRUE(prune(layout, nullptr, 0, false)->files.empty());
  EXPECT_TRUE(clean(layout, 0s, false)->files.empty());
  glance_.close();  // and is about to rename it
  files::last_write_time(path("incomplete/a"), files::file_time_type::clock::now());
  EXPECT_EQ(evict(layout, nullptr, id).error().kind, ErrorKind::kBusy);
  EXPECT_TRUE(prune(layout, nullptr, 0, false)->files.empty());
  files::last_write_time(path("incomplete/a"), files::file_time_type::clock::now() - 2min);
  EXPECT_TRUE(evict(layout, nullptr, id));
}

TEST_F(GlanceWriterTest, AtAnyMomentOfAWholeRead) {
  for (int round = 0; round < 40; ++round) {
    const bool with_digest = round % 2 == 0;
    upstream_.put("a",
                  {bytes_, "\"v1\"", with_digest ? std::optional(digest_of(bytes_)) : std::nullopt,
                   round % 3 == 0 ? RangeSupport::kNo : RangeSupport::kYes});
    glance_at_ = 0;
    auto glance = std::async(std::launch::async, [&] {
      // No more than the moments in which a fill of this size is over.
      std::this_thread::sleep_for(std::chrono::microseconds(700 * round));
      if (files::exists(path("a"))) return false;
      glance_opens();
      return true;
    });
    auto handle = open();
    expect_all_right(*handle);
    const bool came = glance.get();
    expect_all_right(*handle);
    if (files::exists(path("a"))) {
      EXPECT_TRUE(content("a") == bytes_) << round;
    }
    if (came && files::exists(path("incomplete/a"))) glance_commits();
    glance_.close();
    handle.reset();
    store_.reset();
    files::remove_all(config_.cache_dir);
    mount();
  }
}

}  // namespace
}  // namespace imgcachefs
