#include "cache/chunk_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace imgcachefs {
namespace {

using State = ChunkMap::State;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(ChunkMapTest, CutsAnImageIntoChunksTheLastOneShorter) {
  ChunkMap map(10'000, 4096);
  EXPECT_EQ(map.count(), 3u);
  EXPECT_EQ(map.bytes({0, 1}), (ByteRange{0, 4096}));
  EXPECT_EQ(map.bytes({2, 3}), (ByteRange{8192, 10'000}));
  EXPECT_EQ(map.bytes(map.all()), (ByteRange{0, 10'000}));
  EXPECT_EQ(map.touching({0, 1}), (ChunkRange{0, 1}));
  EXPECT_EQ(map.touching({4095, 4097}), (ChunkRange{0, 2}));
  EXPECT_EQ(map.touching({4096, 8192}), (ChunkRange{1, 2}));
  EXPECT_TRUE(map.touching({500, 500}).empty());
}

TEST(ChunkMapTest, OfAnEmptyImageIsComplete) {
  ChunkMap map(0, 4096);
  EXPECT_EQ(map.count(), 0u);
  EXPECT_TRUE(map.complete());
  EXPECT_EQ(map.present_bytes(), 0u);
  EXPECT_FALSE(map.find(State::kAbsent, map.all(), 1));
}

TEST(ChunkMapTest, AnImageHasAMillionChunksAtMost) {
  EXPECT_EQ(chunk_size_for(0, 65536), 65536u);
  EXPECT_EQ(chunk_size_for(64ULL << 30, 65536), 65536u);
  EXPECT_EQ(chunk_size_for((64ULL << 30) + 1, 65536), 131072u);
  EXPECT_EQ(chunk_size_for(kLargestImage, 4096), 64u << 20);
  EXPECT_EQ(ChunkMap(kLargestImage, 64u << 20).count(), 1u << 20);
}

TEST(ChunkMapTest, GoesFromAbsentOverClaimedToPresent) {
  ChunkMap map(3 * 4096 + 10, 4096);
  map.claim({1, 4});
  EXPECT_EQ(map.in(State::kClaimed), 3u);
  EXPECT_EQ(map.present_bytes(), 0u);
  map.land(1, 11);
  map.land(3, 33);
  EXPECT_EQ(map.present_bytes(), 4096u + 10);
  EXPECT_EQ(map.checksum(3), 33u);
  map.release({1, 4});  // what landed stays
  EXPECT_EQ(map.state(1), State::kPresent);
  EXPECT_EQ(map.state(2), State::kAbsent);
  EXPECT_FALSE(map.complete());
  map.land(0, 1);
  map.land(2, 2);
  EXPECT_TRUE(map.complete());
  EXPECT_EQ(map.present_bytes(), 3u * 4096 + 10);
}

TEST(ChunkMapTest, FindsTheFirstRunOfAStateAsLongAsAskedFor) {
  ChunkMap map(10 * 4096, 4096);
  map.claim({0, 2});
  map.land(5, 1);
  EXPECT_EQ(map.find(State::kAbsent, map.all(), 100), (ChunkRange{2, 5}));
  EXPECT_EQ(map.find(State::kAbsent, map.all(), 2), (ChunkRange{2, 4}));
  EXPECT_EQ(map.find(State::kAbsent, {5, 8}, 100), (ChunkRange{6, 8}));
  EXPECT_EQ(map.find(State::kPresent, map.all(), 100), (ChunkRange{5, 6}));
  EXPECT_FALSE(map.find(State::kPresent, {6, 10}, 100));
  EXPECT_FALSE(map.find(State::kRecorded, map.all(), 100));
}

TEST(ChunkMapTest, TellsWhatTheSavedMapDoesNotKnow) {
  ChunkMap map(4 * 4096, 4096);
  map.record(0, 7);
  map.record(1, 8);
  EXPECT_EQ(map.in(State::kRecorded), 2u);
  EXPECT_EQ(map.present_bytes(), 0u) << "what was recorded is not believed yet";
  EXPECT_FALSE(map.has_unsaved());
  map.claim({0, 4});
  map.land(0, 7);  // as the saved map says
  map.land(1, 9);  // fetched again, and other than recorded
  map.land(3, 1);
  map.land(3, 1);
  EXPECT_THAT(map.take_unsaved(), ElementsAre(1, 3));
  EXPECT_FALSE(map.has_unsaved());
  EXPECT_THAT(map.take_unsaved(), IsEmpty());
}

TEST(ChunkMapTest, AForgottenChunkIsToBeSavedAgainWhenItComesBack) {
  ChunkMap map(2 * 4096, 4096);
  map.land(0, 7);
  map.take_unsaved();
  map.forget(0);
  map.forget(1);  // was not there
  EXPECT_EQ(map.in(State::kAbsent), 2u);
  map.land(0, 7);
  EXPECT_THAT(map.take_unsaved(), ElementsAre(0));
  map.claim({1, 2});
  map.forget_all();
  EXPECT_EQ(map.in(State::kAbsent), 2u);
  EXPECT_FALSE(map.has_unsaved());
}

class Returned final : public ChunkMap::Owner {
 public:
  void give_back(ChunkRange chunks) override { ranges.push_back(chunks); }
  std::vector<ChunkRange> ranges;
};

TEST(ChunkMapClaimTest, GivesBackWhatDidNotLand) {
  auto owner = std::make_shared<Returned>();
  {
    ChunkMap::Claim claim(owner, {3, 7});
    claim.landed_first();
    claim.landed_first();
    ChunkMap::Claim moved(std::move(claim));
    EXPECT_EQ(moved.rest(), (ChunkRange{5, 7}));
  }
  EXPECT_THAT(owner->ranges, ElementsAre(ChunkRange{5, 7}));
}

TEST(ChunkMapClaimTest, GivesNothingBackWhenAllLandedOrTheCallerDoesIt) {
  auto owner = std::make_shared<Returned>();
  {
    ChunkMap::Claim landed(owner, {0, 1}), taken(owner, {1, 9}), none;
    landed.landed_first();
    EXPECT_EQ(taken.take_rest(), (ChunkRange{1, 9}));
  }
  EXPECT_THAT(owner->ranges, IsEmpty());
}

TEST(ChunkHasherTest, IsTheSameInPiecesAndAtOnce) {
  const std::string bytes(100'000, 'x');
  ChunkHasher hasher;
  hasher.update(bytes.data(), 1);
  hasher.update(bytes.data() + 1, 70'000);
  hasher.update(bytes.data() + 70'001, bytes.size() - 70'001);
  EXPECT_EQ(hasher.finish(), chunk_checksum(bytes.data(), bytes.size()));
  hasher.update("abc", 3);  // it began anew
  EXPECT_EQ(hasher.finish(), chunk_checksum("abc", 3));
}

TEST(ChunkHasherTest, IsXxh3) {
  // From the reference implementation (xxhsum -H3).
  EXPECT_EQ(chunk_checksum("", 0), 0x2d06800538d394c2u);
  EXPECT_EQ(chunk_checksum("abc", 3), 0x78af5f94892f3950u);
}

}  // namespace
}  // namespace imgcachefs
