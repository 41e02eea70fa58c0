// Verification of cached images beside those who use the same directory.
#include "cache/verification.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cache/eviction.h"
#include "cache/sqlite_index.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

using test::hex_digest;

constexpr uint64_t kMiB = 1 << 20;
const ImageId kId = ImageId::parse("a").value();
const std::string kBytes = test::pattern_string(3, 0, 3 * kMiB + 100);

class VerificationTest : public testing::Test {
 protected:
  void SetUp() override {
    layout_.emplace(CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value());
    index_ = open_sqlite_index(*layout_, true).value();
    write(kBytes);
    IndexRecord record{kId, kBytes.size(), 0, {}, {}, {}, false, {}, false};
    record.checksum = Digest::parse(DigestAlgo::kSha256, hex_digest(kBytes)).value();
    ASSERT_TRUE(index_->put(record));
  }
  void write(const std::string& bytes) {
    std::ofstream(cache_.path("a"), std::ios::binary) << bytes;
  }
  Result<Verification> verify(const VerifyProgress& progress = [](uint64_t) { return true; }) {
    return verify_cached(*layout_, index_.get(), kId, progress);
  }

  test::ScratchCache cache_;
  std::optional<CacheLayout> layout_;
  std::unique_ptr<CacheIndex> index_;
};

TEST_F(VerificationTest, HashesTheWholeFileInOrder) {
  std::vector<uint64_t> told;
  auto right = verify([&](uint64_t bytes) {
    told.push_back(bytes);
    return true;
  });
  ASSERT_TRUE(right) << right.error().message;
  EXPECT_EQ(right->verdict, Verdict::kRight);
  EXPECT_EQ(right->size, kBytes.size());
  EXPECT_EQ(right->actual, right->expected);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.back(), kBytes.size());
  EXPECT_TRUE(index_->find(kId).value()->verified);
}

TEST_F(VerificationTest, NobodyEvictsTheImageMeanwhile) {
  ErrorKind kind{};
  auto right = verify([&](uint64_t) {
    auto evicted = evict(*layout_, index_.get(), kId);
    if (!evicted) kind = evicted.error().kind;
    return true;
  });
  EXPECT_EQ(kind, ErrorKind::kBusy);
  EXPECT_EQ(right->verdict, Verdict::kRight);
  EXPECT_TRUE(evict(*layout_, index_.get(), kId));
}

TEST_F(VerificationTest, AFileReplacedMeanwhileIsNotJudged) {
  bool replaced = false;
  std::string wrong = kBytes;
  wrong[5] ^= 1;
  write(wrong);
  auto stale = verify([&](uint64_t) {
    if (!replaced) {  // as Glance does it: another file under the name
      std::filesystem::rename(cache_.path("a"), cache_.path("old"));
      write(kBytes);
      replaced = true;
    }
    return true;
  });
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().kind, ErrorKind::kStale);
  EXPECT_TRUE(cache_.has("a"));
  EXPECT_FALSE(cache_.has("invalid/a"));
  EXPECT_TRUE(index_->find(kId).value());
}

TEST_F(VerificationTest, CanBeEndedAndThenRecordsNothing) {
  auto ended = verify([](uint64_t) { return false; });
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind, ErrorKind::kCancelled);
  EXPECT_FALSE(index_->find(kId).value()->verified);
}

TEST_F(VerificationTest, WhatIsWrongMakesWayInADirectoryWithoutSubdirectoriesToo) {
  std::string wrong = kBytes;
  wrong[kBytes.size() - 1] ^= 0x80;
  write(wrong);
  layout_.reset();
  std::filesystem::remove(cache_.path("invalid"));
  layout_.emplace(CacheLayout::open(cache_.dir(), CacheLayout::Access::kTool).value());
  auto judged = verify();
  ASSERT_TRUE(judged) << judged.error().message;
  EXPECT_EQ(judged->verdict, Verdict::kWrong);
  EXPECT_NE(judged->actual, judged->expected);
  EXPECT_FALSE(cache_.has("a"));
  EXPECT_TRUE(cache_.has("invalid/a"));
  EXPECT_FALSE(index_->find(kId).value());
}

TEST_F(VerificationTest, WhatIsNoPlainFileIsNotCached) {
  std::filesystem::remove(cache_.path("a"));
  EXPECT_EQ(verify().error().kind, ErrorKind::kNotFound);
  std::filesystem::create_symlink("/etc/passwd", cache_.path("a"));
  EXPECT_EQ(verify().error().kind, ErrorKind::kNotFound);
  std::filesystem::remove(cache_.path("a"));
  std::filesystem::create_directory(cache_.path("a"));
  EXPECT_EQ(verify().error().kind, ErrorKind::kNotFound);
}

TEST_F(VerificationTest, WithoutAChecksumNothingIsRead) {
  ASSERT_TRUE(index_->remove(kId));
  bool read = false;
  auto unknown = verify([&](uint64_t) { return read = true; });
  EXPECT_EQ(unknown->verdict, Verdict::kUnknown);
  EXPECT_FALSE(read);
  EXPECT_EQ(verify_cached(*layout_, nullptr, kId, {})->verdict, Verdict::kUnknown);
}

}  // namespace
}  // namespace imgcachefs
