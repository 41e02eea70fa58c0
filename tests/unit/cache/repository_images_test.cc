// The images of a registry's repositories: who sees what, and what holds while it is silent.
#include "cache/repository_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>

#include "cache/image_queue.h"
#include "cache/image_store.h"
#include "cache/repository_marks.h"
#include "support/fake_repositories.h"
#include "support/fake_upstream.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using test::FakeRepositories;
using test::FakeUpstream;
using test::pattern_bytes;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Digests are of no concern here: any ID will do.
ImageId blob(const std::string& name) {
  return ImageId::parse("sha256:" + name).value();
}

class RepositoryImagesTest : public ::testing::Test {
 protected:
  RepositoryImagesTest() {
    upstream_.with_repositories(registry_);
    config_.cache_dir = dir_.file("cache");
    config_.source = "fake:";
  }

  ImageId offer(const std::string& repository, const std::string& name) {
    FakeUpstream::Image image;
    image.bytes = pattern_bytes(1000, 1);
    upstream_.put(blob(name).str(), std::move(image));
    registry_.put(repository, blob(name));
    return blob(name);
  }
  void mount() { store_ = ImageStore::open(config_, upstream_).value(); }
  void mount_anew() {
    store_.reset();
    mount();
  }
  RepositoryImages& repositories() { return *store_->repositories(); }

  // Asks, and waits for the answer.
  template <typename Answer, typename Ask>
  Answer answer(Ask ask) {
    auto promise = std::make_shared<std::promise<Answer>>();
    ask([promise](Answer answer) { promise->set_value(std::move(answer)); });
    auto future = promise->get_future();
    if (future.wait_for(20s) != std::future_status::ready) throw std::runtime_error("no answer");
    return future.get();
  }
  // "" when it is there, else why not.
  static std::string word(const Status& status) {
    return status ? "" : std::string(to_string(status.error().kind));
  }
  std::string directory(const std::string& path) {
    return word(answer<Status>([&](auto done) { repositories().find_directory(path, done); }));
  }
  std::string image(const std::string& repository, const ImageId& id) {
    return word(
        answer<Status>([&](auto done) { repositories().find_image(repository, id, done); }));
  }
  std::vector<std::string> list(const std::string& path) {
    auto listed = answer<Result<RepositoryImages::Listing>>(
        [&](auto done) { repositories().list(path, done); });
    if (!listed) return {"error: " + std::string(to_string(listed.error().kind))};
    std::vector<std::string> names;
    for (const std::string& name : listed->directories) names.push_back(name + "/");
    for (const std::string_view name : listed->images) names.emplace_back(name);
    return names;
  }
  std::vector<std::string> tags(const std::string& repository) {
    auto tags = answer<Result<RepositoryImages::Tags>>(
        [&](auto done) { repositories().list_tags(repository, done); });
    return tags ? **tags
                : std::vector<std::string>{"error: " + std::string(to_string(tags.error().kind))};
  }
  std::string tag(const std::string& repository, const std::string& name) {
    const auto tag = answer<Result<std::shared_ptr<const Tag>>>(
        [&](auto done) { repositories().find_tag(repository, name, done); });
    return tag ? "" : std::string(to_string(tag.error().kind));
  }
  void cache(const std::string& repository, const ImageId& id) {
    ASSERT_EQ(image(repository, id), "");
    const auto cached = answer<Status>([&](auto done) { store_->fetch_whole(id, done); });
    ASSERT_TRUE(cached) << cached.error().message;
  }
  std::vector<std::string> marks(const ImageId& id, const std::string& place = "") {
    auto fd = posix::open_at(AT_FDCWD, dir_.file("cache/" + place + id.str()), O_RDONLY);
    return marked_repositories(fd.value().get());
  }
  const std::string denied_ = std::string(to_string(ErrorKind::kDenied));
  const std::string none_ = std::string(to_string(ErrorKind::kNotFound));
  const std::string silent_ = std::string(to_string(ErrorKind::kUnavailable));

  test::TempDir dir_;
  FakeUpstream upstream_;
  FakeRepositories registry_;
  StoreConfig config_;
  std::unique_ptr<ImageStore> store_;
};

TEST_F(RepositoryImagesTest, ANameIsADirectoryWhenARepositoryIsThereOrBelow) {
  offer("team/vm", "a");
  mount();
  EXPECT_EQ(directory("team"), "");
  EXPECT_EQ(directory("team/vm"), "");
  EXPECT_EQ(directory("tea"), none_);
  EXPECT_EQ(directory("team/v"), none_);
  EXPECT_EQ(directory("team/vm/x"), none_);
  EXPECT_EQ(directory("Team"), none_);
}

TEST_F(RepositoryImagesTest, ARepositoryThatIsYoungerThanTheCatalogueIsFoundByItsTags) {
  offer("old", "a");
  mount();
  EXPECT_EQ(directory("old"), "");
  offer("new", "b");
  EXPECT_EQ(directory("new"), "");
}

TEST_F(RepositoryImagesTest, ADirectoryThatIsYoungerThanTheCatalogueIsFoundAfterNegativeTtl) {
  offer("old", "a");
  config_.negative_ttl = 0s;
  mount();
  EXPECT_EQ(directory("team"), none_);
  offer("team/vm", "b");
  EXPECT_EQ(directory("team"), "");
  EXPECT_EQ(directory("tea"), none_);
}

// Registries with many repositories are known to take minutes for their catalogue, and to give up.
TEST_F(RepositoryImagesTest, ACatalogueThatCannotBeReadIsAsGoodAsNone) {
  offer("team/vm", "a");
  for (const ErrorKind kind :
       {ErrorKind::kProtocol, ErrorKind::kUnavailable, ErrorKind::kTimeout}) {
    registry_.fail_catalogue_with(Error{kind, "no catalogue"});
    mount_anew();
    EXPECT_EQ(directory("team"), "") << to_string(kind);
    EXPECT_EQ(directory("team/vm"), "") << to_string(kind);
    EXPECT_EQ(image("team/vm", blob("a")), "") << to_string(kind);
  }
  registry_.fail_with(Error{ErrorKind::kUnavailable, "down"});
  mount_anew();
  EXPECT_EQ(directory("team"), silent_);
}

// SEMANTICS: A name is a directory when a repository lies there or below, or when the registry does
// not tell its catalogue.
TEST_F(RepositoryImagesTest, ACatalogueThatMakesNoSenseIsNotReadForEachName) {
  registry_.fail_catalogue_with(Error{ErrorKind::kProtocol, "without an end"});
  mount();
  EXPECT_EQ(directory("x/y"), "");
  const unsigned asked = registry_.asked();
  EXPECT_EQ(directory("z"), "");
  EXPECT_EQ(registry_.asked(), asked);
}

TEST_F(RepositoryImagesTest, WithoutACatalogueEveryNameThatCouldBeOneIsADirectory) {
  registry_.hide_catalogue();
  mount();
  EXPECT_EQ(directory("any/thing"), "");
  EXPECT_EQ(directory("any"), "");
  EXPECT_EQ(directory("Not_a_name-"), none_);
  EXPECT_EQ(registry_.asked(), 1u);  // that it is not told is believed, too
}

TEST_F(RepositoryImagesTest, AnImageIsShownWhereItIsAMemberAndNowhereElse) {
  const ImageId id = offer("a", "1");
  offer("b", "2");
  mount();
  cache("a", id);
  EXPECT_EQ(image("b", id), none_);
  EXPECT_EQ(image("c", id), none_);
  EXPECT_EQ(image("a", id), "");
}

TEST_F(RepositoryImagesTest, ARepositoryThatMayNotBePulledShowsNothingCachedOrNot) {
  const ImageId id = offer("a", "1");
  registry_.put("secret", id);
  registry_.deny("secret");
  mount();
  cache("a", id);
  EXPECT_EQ(image("secret", id), denied_);
}

TEST_F(RepositoryImagesTest, LeaveThatIsTakenAwayCountsAfterRevalidate) {
  const ImageId id = offer("a", "1");
  config_.revalidate = 0s;
  mount();
  cache("a", id);
  registry_.deny("a");
  EXPECT_EQ(image("a", id), denied_);
}

// The registry's word goes before what is shown while it is silent: for all of the repository, and
// after a restart too.
TEST_F(RepositoryImagesTest, WhatCouldNotBeReadIsAskedAboutAnew) {
  const ImageId id = offer("a", "1"), other = offer("a", "2");
  mount();
  EXPECT_EQ(image("a", id), "");
  EXPECT_EQ(image("a", other), "");
  registry_.remove("a", id);
  EXPECT_EQ(image("a", id), "");
  repositories().not_read(id);
  EXPECT_EQ(image("a", id), none_);
  const unsigned asked = registry_.asked();
  EXPECT_EQ(image("a", other), "");
  EXPECT_EQ(registry_.asked(), asked);
}

TEST_F(RepositoryImagesTest, WhatWasRefusedStaysHiddenWhenUpstreamFallsSilent) {
  const ImageId id = offer("a", "1"), other = offer("a", "2");
  registry_.put_tag("a", "v1", {"{}", {{"disk", id, 1000}}});
  registry_.put("b", id);
  config_.revalidate = 0s;
  config_.negative_ttl = 0s;
  mount();
  cache("a", id);
  cache("a", other);
  EXPECT_EQ(image("b", id), "");
  EXPECT_THAT(tags("a"), ElementsAre("v1"));
  EXPECT_EQ(tag("a", "v1"), "");
  registry_.deny("a");
  EXPECT_EQ(image("a", id), denied_);
  registry_.fail_with(Error{ErrorKind::kUnavailable, "down"});
  for (int restart = 0; restart < 2; ++restart) {
    EXPECT_EQ(image("a", id), silent_);
    EXPECT_EQ(image("a", other), silent_);
    EXPECT_THAT(tags("a"), ElementsAre("error: " + silent_));
    EXPECT_EQ(tag("a", "v1"), silent_);
    EXPECT_THAT(list("a"), IsEmpty());
    EXPECT_EQ(image("b", id), "");
    mount_anew();
  }
  EXPECT_THAT(marks(id), ElementsAre("b"));
  EXPECT_THAT(marks(other), IsEmpty());
}

TEST_F(RepositoryImagesTest, RefusedTagsHideTheImagesToo) {
  const ImageId id = offer("a", "1");
  config_.revalidate = 0s;
  mount();
  cache("a", id);
  registry_.deny("a");
  EXPECT_THAT(tags("a"), ElementsAre("error: " + denied_));
  registry_.fail_with(Error{ErrorKind::kUnavailable, "down"});
  EXPECT_EQ(image("a", id), silent_);
}

TEST_F(RepositoryImagesTest, WhatWasRefusedIsShownAgainWhenItMayBePulled) {
  const ImageId id = offer("a", "1");
  config_.revalidate = 0s;
  config_.negative_ttl = 0s;
  mount();
  cache("a", id);
  registry_.deny("a");
  EXPECT_EQ(image("a", id), denied_);
  EXPECT_THAT(list(""), IsEmpty());
  registry_.allow("a");
  EXPECT_EQ(image("a", id), "");
  EXPECT_THAT(list("a"), ElementsAre(id.str()));
  EXPECT_THAT(marks(id), ElementsAre("a"));
}

TEST_F(RepositoryImagesTest, WhatIsEvictedLeadsNowhereAndIsFoundAgainWhenItComesBack) {
  const ImageId id = offer("team/vm", "1");
  mount();
  cache("team/vm", id);
  EXPECT_THAT(list("team"), ElementsAre("vm/"));
  for (int i = 0; i < 2; ++i) {
    std::filesystem::remove(dir_.file("cache/" + id.str()));
    EXPECT_THAT(list(""), IsEmpty());
    EXPECT_THAT(list("team/vm"), IsEmpty());
    cache("team/vm", id);
    EXPECT_THAT(list("team/vm"), ElementsAre(id.str()));
    EXPECT_THAT(marks(id), ElementsAre("team/vm"));
  }
}

TEST_F(RepositoryImagesTest, WhatIsBelievedAsksNothing) {
  const ImageId id = offer("a", "1");
  mount();
  cache("a", id);
  const unsigned asked = registry_.asked(), stats = upstream_.stats_asked();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(image("a", id), "");
  EXPECT_EQ(directory("a"), "");
  EXPECT_EQ(registry_.asked(), asked);
  EXPECT_EQ(upstream_.stats_asked(), stats);
}

TEST_F(RepositoryImagesTest, WhatIsCachedIsFoundWhileUpstreamIsSilentAfterARestartToo) {
  const ImageId id = offer("team/a", "1");
  registry_.put("b", id);
  const ImageId other = offer("team/a", "2");
  mount();
  cache("team/a", id);
  EXPECT_EQ(image("b", id), "");
  EXPECT_THAT(marks(id), ElementsAre("team/a", "b"));
  registry_.fail_with(Error{ErrorKind::kUnavailable, "down"});
  mount_anew();
  EXPECT_EQ(directory("team"), "");
  EXPECT_EQ(directory("team/a"), "");
  EXPECT_EQ(image("team/a", id), "");
  EXPECT_EQ(registry_.patience(), Patience::kOneTry);
  EXPECT_EQ(image("b", id), "");
  EXPECT_EQ(image("team/a", other), silent_);
  EXPECT_EQ(image("c", id), silent_);
  EXPECT_THAT(list(""), ElementsAre("b/", "team/"));
  EXPECT_THAT(list("team/a"), ElementsAre(id.str()));
}

TEST_F(RepositoryImagesTest, AMarkIsNoProofOnceUpstreamSpeaks) {
  const ImageId id = offer("a", "1");
  registry_.put("b", id);
  mount();
  cache("a", id);
  EXPECT_EQ(image("b", id), "");
  registry_.remove("b", id);
  mount_anew();
  EXPECT_EQ(image("b", id), none_);
  EXPECT_THAT(marks(id), ElementsAre("a"));
  EXPECT_THAT(list("b"), IsEmpty());
}

TEST_F(RepositoryImagesTest, ListsWhatIsCachedAndNothingElse) {
  const ImageId id = offer("team/vm", "1");
  offer("team/vm", "2");
  offer("other", "3");
  mount();
  EXPECT_THAT(list(""), IsEmpty());
  EXPECT_EQ(image("team/vm", blob("2")), "");
  cache("team/vm", id);
  EXPECT_THAT(list(""), ElementsAre("team/"));
  EXPECT_THAT(list("team"), ElementsAre("vm/"));
  EXPECT_THAT(list("team/vm"), ElementsAre(id.str()));
}

TEST_F(RepositoryImagesTest, WithListAllTheCatalogueAndTheImagesOfAllTags) {
  const ImageId one = offer("team/vm", "1"), two = offer("team/vm", "2");
  offer("other", "3");
  registry_.put_tag("team/vm", "v1", {"{}", {{"disk", one, 1000}}});
  registry_.put_tag("team/vm", "v2", {"{}", {{"disk", two, 1000}, {"extra", one, 1000}}});
  config_.list_all = true;
  mount();
  EXPECT_THAT(list(""), ElementsAre("other/", "team/"));
  EXPECT_THAT(list("team"), ElementsAre("vm/"));
  EXPECT_THAT(list("team/vm"), ElementsAre(one.str(), two.str()));
  EXPECT_THAT(list("other"), IsEmpty());
  const unsigned asked = registry_.asked();
  EXPECT_THAT(list("team/vm"), ElementsAre(one.str(), two.str()));
  EXPECT_EQ(registry_.asked(), asked);
}

TEST_F(RepositoryImagesTest, ListingHasThePatienceOfOneTryAndDoesNotAskASilentUpstreamAgain) {
  config_.list_all = true;
  registry_.fail_with(Error{ErrorKind::kTimeout, "silent"});
  mount();
  EXPECT_THAT(list(""), IsEmpty());
  EXPECT_THAT(list("team"), IsEmpty());
  EXPECT_EQ(registry_.patience(), Patience::kOneTry);
  const unsigned asked = registry_.asked();
  EXPECT_THAT(list(""), IsEmpty());
  EXPECT_THAT(list("other"), IsEmpty());
  EXPECT_EQ(registry_.asked(), asked);
}

TEST_F(RepositoryImagesTest, WithListAllARefusedRepositoryIsNotAnEmptyOne) {
  offer("secret", "1");
  registry_.deny("secret");
  config_.list_all = true;
  mount();
  EXPECT_THAT(list("secret"), ElementsAre("error: " + denied_));
}

// A registry has a repository of which all tags were deleted, and says that it knows no tags of it.
TEST_F(RepositoryImagesTest, WithListAllADirectoryWithoutTagsIsEmptyAndNoError) {
  registry_.hide_catalogue();
  config_.list_all = true;
  mount();
  EXPECT_EQ(directory("team"), "");
  EXPECT_THAT(list("team"), IsEmpty());
}

TEST_F(RepositoryImagesTest, WithListAllARefusedCatalogueIsNoError) {
  offer("a", "1");
  registry_.hide_catalogue();
  config_.list_all = true;
  mount();
  EXPECT_THAT(list(""), IsEmpty());
  cache("a", blob("1"));
  EXPECT_THAT(list(""), ElementsAre("a/"));
}

TEST_F(RepositoryImagesTest, TheQueueSaysWhereAnImageIs) {
  const ImageId id = offer("a", "1");
  mount();
  const auto layout = CacheLayout::open(config_.cache_dir, CacheLayout::Access::kTool).value();
  ASSERT_TRUE(ImageQueue(layout).queue_image(id, false));
  auto file = posix::open_at(layout.dir(Place::kQueue), id.str(), O_RDONLY);
  ASSERT_TRUE(mark_repository(file->get(), "gone"));
  ASSERT_TRUE(mark_repository(file->get(), "a"));
  const auto cached = answer<Status>([&](auto done) { store_->fetch_queued(id, done); });
  ASSERT_TRUE(cached) << cached.error().message;
  EXPECT_THAT(marks(id), ElementsAre("a"));
}

TEST_F(RepositoryImagesTest, ThatNobodyKnewWhereAnImageIsDoesNotHideItWhereItIsFound) {
  mount();
  EXPECT_EQ(word(answer<Status>([&](auto done) { store_->fetch_queued(blob("1"), done); })), none_);
  const ImageId id = offer("a", "1");
  EXPECT_EQ(image("a", id), "");
  const auto found =
      answer<Result<std::shared_ptr<Image>>>([&](auto done) { store_->lookup(id, done); });
  EXPECT_TRUE(found) << found.error().message;
}

TEST_F(RepositoryImagesTest, ACachedImageIsNotAskedAboutButForItsRepository) {
  const ImageId id = offer("a", "1");
  config_.revalidate = 0s;
  mount();
  cache("a", id);
  const unsigned stats = upstream_.stats_asked();
  const auto found =
      answer<Result<std::shared_ptr<Image>>>([&](auto done) { store_->lookup(id, done); });
  ASSERT_TRUE(found);
  auto opened = std::make_shared<std::promise<bool>>();
  store_->open_image(*found, [opened](Result<std::unique_ptr<ImageHandle>> handle) {
    opened->set_value(handle.has_value());
  });
  EXPECT_TRUE(opened->get_future().get());
  EXPECT_EQ(upstream_.stats_asked(), stats);
}

TEST_F(RepositoryImagesTest, TagsAreBelievedAndHoldWhileUpstreamIsSilent) {
  const ImageId id = offer("a", "1");
  registry_.put_tag("a", "latest", {"{\"x\":1}", {{"disk", id, 1000}}});
  config_.revalidate = 0s;
  mount();
  auto tags = [&] {
    return answer<Result<RepositoryImages::Tags>>(
        [&](auto done) { repositories().list_tags("a", done); });
  };
  auto latest = [&] {
    return answer<Result<std::shared_ptr<const Tag>>>(
        [&](auto done) { repositories().find_tag("a", "latest", done); });
  };
  EXPECT_THAT(*tags().value(), ElementsAre("latest"));
  EXPECT_EQ(latest().value()->manifest, "{\"x\":1}");
  registry_.fail_with(Error{ErrorKind::kTimeout, "silent"});
  EXPECT_THAT(*tags().value(), ElementsAre("latest"));
  EXPECT_EQ(latest().value()->manifest, "{\"x\":1}");
}

}  // namespace
}  // namespace imgcachefs
