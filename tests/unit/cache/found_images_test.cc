#include "cache/found_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ImageId image_of(const std::string& text) {
  return ImageId::parse(text).value();
}

TEST(FoundImages, LeadToWhatIsCachedAndToNothingElse) {
  FoundImages found;
  for (const char* repository : {"a", "a-b", "a/b/c", "a0", "b/x", "b/y/z"})
    found.add({repository, image_of("1")}, true);
  found.add({"c", image_of("2")}, false);
  EXPECT_THAT(found.names_below(""), ElementsAre("a", "a-b", "a0", "b"));
  EXPECT_THAT(found.names_below("a"), ElementsAre("b"));
  EXPECT_THAT(found.names_below("b"), ElementsAre("x", "y"));
  EXPECT_THAT(found.names_below("a/b/c"), IsEmpty());
  EXPECT_TRUE(found.some_cached_below(""));
  EXPECT_EQ(found.some_cached_below("b/y")->first, "b/y/z");
  EXPECT_EQ(found.some_cached_below("a")->first, "a");
  EXPECT_EQ(found.some_cached_below("b/x")->first, "b/x");
  EXPECT_FALSE(found.some_cached_below("b/"));
  EXPECT_FALSE(found.some_cached_below("c"));
  const NameList in_a = found.cached_in("a");
  ASSERT_EQ(in_a.size(), 1u);
  EXPECT_EQ(in_a[0], image_of("1").str());
  EXPECT_EQ(found.cached_in("c").size(), 0u);
}

// "a-b" comes between "a" and "a/b".
TEST(FoundImages, AreFoundBelowADirectoryWithASibling) {
  FoundImages found;
  found.add({"a-b", image_of("1")}, true);
  found.add({"a/b", image_of("1")}, true);
  EXPECT_EQ(found.some_cached_below("a")->first, "a/b");
  EXPECT_THAT(found.names_below("a"), ElementsAre("b"));
}

TEST(FoundImages, AreCachedWhereverTheyWereFoundAndMayGoAgain) {
  FoundImages found;
  const ImageId id = image_of("1");
  found.add({"a", id}, false);
  found.add({"b", id}, false);
  EXPECT_THAT(found.repositories_of(id), ElementsAre("a", "b"));
  found.is_cached_now(id);
  EXPECT_TRUE(found.is_cached({"a", id}) && found.is_cached({"b", id}));
  EXPECT_EQ(found.count_cached(), 2u);
  found.is_not_cached_now({"a", id});
  EXPECT_FALSE(found.is_cached({"a", id}));
  EXPECT_EQ(found.count_cached(), 1u);
  EXPECT_THAT(found.repositories_of(id), ElementsAre("a", "b"));
  EXPECT_TRUE(found.remove({"a", id}));
  EXPECT_FALSE(found.remove({"a", id}));
  EXPECT_THAT(found.remove_all("b"), ElementsAre(id));
  EXPECT_THAT(found.repositories_of(id), IsEmpty());
  EXPECT_EQ(found.count_cached(), 0u);
}

// Else whoever has looked at many would find nothing any more.
TEST(FoundImages, OfTooManyThoseAreForgottenThatWereFoundFirst) {
  FoundImages found(2);
  found.add({"cached", image_of("0")}, true);
  for (const char* id : {"1", "2", "3"}) found.add({"a", image_of(id)}, false);
  EXPECT_THAT(found.repositories_of(image_of("1")), IsEmpty());
  EXPECT_THAT(found.repositories_of(image_of("3")), ElementsAre("a"));
  EXPECT_THAT(found.repositories_of(image_of("0")), ElementsAre("cached"));
}

}  // namespace
}  // namespace imgcachefs
