#include "cache/chunk_map_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "cache/chunk_map.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using test::read_file;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

std::string hex(const std::string& bytes) {
  std::string text;
  for (unsigned char c : bytes) text += fmt::format("{:02x}", c);
  return text;
}

class ChunkMapFileTest : public testing::Test {
 protected:
  ChunkMapFileTest() : dir_(::open(temp_.path().c_str(), O_RDONLY | O_DIRECTORY)) {}

  std::string bytes() const { return read_file(temp_.file("image")); }
  void write(const std::string& bytes) const { temp_.write("image", bytes); }
  ErrorKind load_error(const std::string& name = "image") const {
    auto loaded = ChunkMapFile::load(dir_.get(), name);
    return loaded ? ErrorKind::kCancelled : loaded.error().kind;
  }

  test::TempDir temp_;
  UniqueFd dir_;
  const ChunkMapHeader header_{65536, 200'000, {"\"e-1\"", "Thu, 19 Nov 2026 08:00:00 GMT"}};
};

TEST_F(ChunkMapFileTest, IsWrittenAsItsFormatSays) {
  auto file = ChunkMapFile::create(dir_.get(), "image", header_).value();
  ASSERT_TRUE(file.save({{1, 0x0123456789abcdef}, {3, 0xff}}));
  EXPECT_EQ(hex(bytes()),
            "494d47434d415031"  // "IMGCMAP1"
            "00000100"          // chunk size: 65536
            "04000000"          // chunks
            "400d030000000000"  // size of the image: 200000
            "05000000"          // length of the ETag
            "1d000000"          // length of the Last-Modified
            "5ddfe111967f706d"  // checksum of the header and the name
            "22652d3122"        // "e-1" in its quotes
            "5468752c203139204e6f7620323032362030383a30303a303020474d54"
            "000000000000"      // up to a multiple of 8
            "0000000000000000"  // chunk 0: absent
            "efcdab8967452301"
            "0000000000000000"
            "ff00000000000000");
}

TEST_F(ChunkMapFileTest, IsReadAsItWasWritten) {
  {
    auto file = ChunkMapFile::create(dir_.get(), "image", header_).value();
    ASSERT_TRUE(file.save({{0, 1}, {1, 2}, {3, 4}}));
  }
  auto loaded = ChunkMapFile::load(dir_.get(), "image").value();
  EXPECT_EQ(loaded.header, header_);
  EXPECT_THAT(loaded.present, ElementsAre(Pair(0, 1), Pair(1, 2), Pair(3, 4)));
  ASSERT_TRUE(loaded.file.save({{2, 3}, {3, 0}}));  // goes on where it was
  EXPECT_THAT(ChunkMapFile::load(dir_.get(), "image")->present,
              ElementsAre(Pair(0, 1), Pair(1, 2), Pair(2, 3)));
}

TEST_F(ChunkMapFileTest, CreatingReplacesWhatWasThere) {
  write(std::string(100'000, '\xff'));
  { ASSERT_TRUE(ChunkMapFile::create(dir_.get(), "image", header_)); }
  EXPECT_THAT(ChunkMapFile::load(dir_.get(), "image")->present, IsEmpty());
}

TEST_F(ChunkMapFileTest, HoldsImagesWithoutValidatorAndWithoutBytes) {
  const ChunkMapHeader bare{4096, 10, {}}, empty{4096, 0, {"\"x\"", ""}};
  ASSERT_TRUE(ChunkMapFile::create(dir_.get(), "bare", bare));
  ASSERT_TRUE(ChunkMapFile::create(dir_.get(), "empty", empty));
  EXPECT_EQ(ChunkMapFile::load(dir_.get(), "bare")->header, bare);
  EXPECT_EQ(ChunkMapFile::load(dir_.get(), "empty")->header, empty);
}

TEST_F(ChunkMapFileTest, NoneIsNotFound) {
  EXPECT_EQ(load_error(), ErrorKind::kNotFound);
}

TEST_F(ChunkMapFileTest, HarmedInAnyBitOfItsHeadIsNoMap) {
  { ASSERT_TRUE(ChunkMapFile::create(dir_.get(), "image", header_)); }
  const std::string good = bytes();
  const size_t head = 40 + header_.validator.etag.size() + header_.validator.last_modified.size();
  for (size_t bit = 0; bit < head * 8; ++bit) {
    std::string harmed = good;
    harmed[bit / 8] = static_cast<char>(harmed[bit / 8] ^ (1 << (bit % 8)));
    write(harmed);
    ASSERT_EQ(load_error(), ErrorKind::kInvalid) << "bit " << bit;
  }
}

TEST_F(ChunkMapFileTest, OfAnotherLengthIsNoMap) {
  { ASSERT_TRUE(ChunkMapFile::create(dir_.get(), "image", header_)); }
  const std::string good = bytes();
  for (size_t length = 0; length < good.size(); ++length) {
    write(good.substr(0, length));
    ASSERT_EQ(load_error(), ErrorKind::kInvalid) << length;
  }
  write(good + '\0');
  EXPECT_EQ(load_error(), ErrorKind::kInvalid);
}

TEST_F(ChunkMapFileTest, OfAnotherImageIsNoMap) {
  { ASSERT_TRUE(ChunkMapFile::create(dir_.get(), "image", header_)); }
  temp_.write("other", bytes());
  EXPECT_EQ(load_error("other"), ErrorKind::kInvalid);
}

TEST_F(ChunkMapFileTest, IsNotWrittenThroughASymlink) {
  const std::string target = temp_.write("target", "mine");
  std::filesystem::create_symlink(target, temp_.file("image"));
  EXPECT_FALSE(ChunkMapFile::create(dir_.get(), "image", header_));
  EXPECT_FALSE(ChunkMapFile::load(dir_.get(), "image"));
  EXPECT_EQ(read_file(target), "mine");
}

}  // namespace
}  // namespace imgcachefs
