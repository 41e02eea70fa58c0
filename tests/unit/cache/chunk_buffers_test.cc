#include "cache/chunk_buffers.h"

#include <gtest/gtest.h>

#include "cache/chunk_window.h"

namespace imgcachefs {
namespace {

constexpr size_t kChunk = 64 << 10;

TEST(ChunkBuffersTest, WhatComesBackIsGivenOutAgain) {
  ChunkBuffers buffers(8 * kChunk);
  auto first = buffers.take(kChunk);
  const auto* where = first.get();
  first.reset();
  EXPECT_EQ(buffers.take(kChunk).get(), where);
  EXPECT_EQ(buffers.take(kChunk - 1).get(), where);  // a last chunk
}

TEST(ChunkBuffersTest, SaysWhenThereIsTooMuchInUse) {
  ChunkBuffers buffers(2 * kChunk);
  auto a = buffers.take(kChunk), b = buffers.take(kChunk);
  EXPECT_FALSE(buffers.crowded());
  auto c = buffers.take(kChunk);
  EXPECT_TRUE(buffers.crowded());
  c.reset();
  EXPECT_FALSE(buffers.crowded());
}

TEST(ChunkBuffersTest, BytesMayOutliveThem) {
  std::shared_ptr<std::byte[]> left;
  {
    ChunkBuffers buffers(kChunk);
    left = buffers.take(kChunk);
  }
  left[kChunk - 1] = std::byte{7};
}

class ChunkWindowTest : public ::testing::Test {
 protected:
  static SharedBytes filled(size_t size, int with) {
    auto bytes = std::make_shared<std::byte[]>(size);
    std::fill_n(bytes.get(), size, static_cast<std::byte>(with));
    return {std::move(bytes), size};
  }
  std::string read(ByteRange range) const {
    auto bytes = window_.read(map_, range);
    if (!bytes) return "none";
    std::string text;
    for (const SharedBytes& part : bytes->parts)
      for (std::byte byte : part.span()) text += static_cast<char>(byte);
    EXPECT_EQ(text.size(), bytes->length);
    return text;
  }

  ChunkMap map_{4096 * 3 + 10, 4096};
  ChunkWindow window_;
};

TEST_F(ChunkWindowTest, ReadsAcrossChunksAndToTheEnd) {
  window_.keep(1, filled(4096, 'b'));
  window_.keep(2, filled(4096, 'c'));
  window_.keep(3, filled(10, 'd'));
  EXPECT_EQ(read({4096, 4099}), "bbb");
  EXPECT_EQ(read({8190, 8194}), "bbcc");
  EXPECT_EQ(read({12287, 12298}), "cdddddddddd");
  EXPECT_EQ(read({8190, 12290}).size(), 4100u);
  EXPECT_EQ(read({5000, 5000}), "");
}

TEST_F(ChunkWindowTest, ReadsNothingWhereAChunkLacks) {
  window_.keep(1, filled(4096, 'b'));
  EXPECT_EQ(read({4095, 4097}), "none");
  EXPECT_EQ(read({8191, 8193}), "none");
  EXPECT_EQ(read({0, 1}), "none");
}

TEST_F(ChunkWindowTest, TrimsWhatCameFirst) {
  for (uint32_t chunk : {2u, 0u, 1u}) window_.keep(chunk, filled(4096, 'x'));
  std::vector<uint32_t> gone;
  window_.trim([&] { return window_.size() > 1; }, [](uint32_t chunk) { return chunk == 0; },
               [&](uint32_t chunk) { gone.push_back(chunk); });
  EXPECT_EQ(gone, (std::vector<uint32_t>{2, 1}));
  EXPECT_EQ(read({0, 2}), "xx");
  EXPECT_EQ(window_.first_from(0), 0u);
  EXPECT_EQ(window_.first_from(1), std::nullopt);
}

}  // namespace
}  // namespace imgcachefs
