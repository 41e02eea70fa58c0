// In which repositories a blob may be, in which order, and that it stays bounded.
#include "fetch/blob_places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Digest blob(int number) {
  std::string hex = std::to_string(number);
  return {DigestAlgo::kSha256, std::string(64 - hex.size(), '0') + hex};
}

TEST(BlobPlaces, TheOneFoundLastIsFirst) {
  BlobPlaces places;
  EXPECT_THAT(places.of(blob(1)), IsEmpty());
  places.found(blob(1), "a");
  places.hinted(blob(1), "b");
  EXPECT_THAT(places.of(blob(1)), ElementsAre("a", "b"));
  places.found(blob(1), "b");
  EXPECT_THAT(places.of(blob(1)), ElementsAre("b", "a"));
  places.hinted(blob(1), "a");
  EXPECT_THAT(places.of(blob(1)), ElementsAre("b", "a"));
  places.found(blob(1), "c");
  EXPECT_THAT(places.of(blob(1)), ElementsAre("c", "b", "a"));
  places.lost(blob(1), "b");
  EXPECT_THAT(places.of(blob(1)), ElementsAre("c", "a"));
  EXPECT_THAT(places.of(blob(2)), IsEmpty());
}

TEST(BlobPlaces, WhatIsLostEverywhereIsAskedForWhereItWasLast) {
  BlobPlaces places;
  places.lost(blob(1), "a");
  EXPECT_THAT(places.of(blob(1)), IsEmpty());
  places.found(blob(1), "a");
  places.lost(blob(1), "a");
  EXPECT_THAT(places.of(blob(1)), ElementsAre("a"));
  places.found(blob(1), "b");
  EXPECT_THAT(places.of(blob(1)), ElementsAre("b", "a"));
  places.lost(blob(1), "a");
  places.lost(blob(1), "b");
  EXPECT_THAT(places.of(blob(1)), ElementsAre("b"));
}

TEST(BlobPlaces, TheBlobHeardOfLongestAgoGoes) {
  BlobPlaces places(2);
  places.found(blob(1), "a");
  places.found(blob(2), "a");
  places.hinted(blob(1), "b");
  places.found(blob(3), "a");
  EXPECT_THAT(places.of(blob(1)), ElementsAre("a", "b"));
  EXPECT_THAT(places.of(blob(2)), IsEmpty());
  EXPECT_THAT(places.of(blob(3)), ElementsAre("a"));
}

TEST(BlobPlaces, OfManyRepositoriesTheFirstFewAreKept) {
  BlobPlaces places;
  for (int i = 0; i < 100; ++i) places.hinted(blob(1), "r" + std::to_string(i));
  EXPECT_EQ(places.of(blob(1)).size(), 8u);
  EXPECT_EQ(places.of(blob(1)).front(), "r0");
  places.found(blob(1), "here");
  EXPECT_EQ(places.of(blob(1)).size(), 8u);
  EXPECT_EQ(places.of(blob(1)).front(), "here");
}

}  // namespace
}  // namespace imgcachefs
