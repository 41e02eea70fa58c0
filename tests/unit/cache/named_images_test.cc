// Names of images, and what a catalogue saves.
#include "cache/named_images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "cache/image_store.h"
#include "support/fake_upstream.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using test::FakeUpstream;
using test::pattern_bytes;
using ::testing::ElementsAre;

ImageId id_of(const std::string& text) {
  return ImageId::parse(text).value();
}

class NamedImagesTest : public ::testing::Test {
 protected:
  NamedImagesTest() {
    upstream_.with_names();
    config_.cache_dir = dir_.file("cache");
    config_.source = "fake:";
  }
  void offer(const std::string& id, const std::string& name, int created, uint64_t size = 1000) {
    FakeUpstream::Image image;
    image.bytes = pattern_bytes(size, size);
    image.name = name;
    image.created = created;
    upstream_.put(id, std::move(image));
  }
  void mount() { store_ = ImageStore::open(config_, upstream_).value(); }

  template <typename T>
  static T wait_for(const std::shared_ptr<std::promise<T>>& answer) {
    auto future = answer->get_future();
    if (future.wait_for(20s) != std::future_status::ready) throw std::runtime_error("no answer");
    return future.get();
  }
  Result<std::string> find(const std::string& name) {
    auto answer = std::make_shared<std::promise<Result<std::string>>>();
    store_->find_named(name, [answer](Result<ImageId> id) {
      answer->set_value(id.map([](const ImageId& found) { return found.str(); }));
    });
    return wait_for(answer);
  }
  std::vector<std::string> links() {
    auto answer = std::make_shared<std::promise<std::vector<std::string>>>();
    store_->list_named([answer](const Result<std::vector<NamedImage>>& images) {
      std::vector<std::string> links;
      for (const NamedImage& image : images.value())
        links.push_back(image.name + "=" + image.id.str());
      answer->set_value(std::move(links));
    });
    return wait_for(answer);
  }
  void list() {
    auto answer = std::make_shared<std::promise<void>>();
    store_->list([answer](const auto&) { answer->set_value(); });
    wait_for(answer);
  }
  Result<std::shared_ptr<Image>> lookup(const std::string& id) {
    auto answer = std::make_shared<std::promise<Result<std::shared_ptr<Image>>>>();
    store_->lookup(id_of(id), [answer](auto image) { answer->set_value(std::move(image)); });
    return wait_for(answer);
  }

  // Opens an image of up to 1000 bytes and reads it; nullopt: that went well.
  std::optional<ErrorKind> read(const std::string& id) {
    auto image = lookup(id);
    if (!image) return image.error().kind;
    auto answer = std::make_shared<std::promise<std::optional<ErrorKind>>>();
    store_->open_image(*image, [answer](Result<std::unique_ptr<ImageHandle>> handle) {
      if (!handle) return answer->set_value(handle.error().kind);
      auto shared = std::make_shared<std::unique_ptr<ImageHandle>>(std::move(*handle));
      (*shared)->read({0, 1000}, [answer, shared](Result<ImageBytes> bytes) {
        answer->set_value(bytes ? std::nullopt : std::optional(bytes.error().kind));
      });
    });
    return wait_for(answer);
  }

  test::TempDir dir_;
  FakeUpstream upstream_;
  StoreConfig config_;
  std::unique_ptr<ImageStore> store_;
};

TEST_F(NamedImagesTest, OfSeveralWithTheSameNameItIsTheNewest) {
  offer("1", "cirros", 10);
  offer("2", "cirros", 30);
  offer("3", "cirros", 20);
  mount();
  EXPECT_EQ(find("cirros").value(), "2");
  EXPECT_EQ(find("nope").error().kind, ErrorKind::kNotFound);
}

TEST_F(NamedImagesTest, TheCatalogueSaysTheSame) {
  offer("1", "cirros", 10);
  offer("2", "cirros", 30);
  offer("3", "cirros", 20);
  offer("4", "", 40);
  offer("5", "debian", 5);
  config_.list_all = true;
  mount();
  EXPECT_THAT(links(), ElementsAre("cirros=2", "debian=5"));
  EXPECT_EQ(find("cirros").value(), "2");
  EXPECT_EQ(upstream_.names_asked(), 0u);
}

TEST_F(NamedImagesTest, WithoutACatalogueNoneAreListedButEachIsFound) {
  offer("1", "cirros", 10);
  mount();
  EXPECT_THAT(links(), ElementsAre());
  EXPECT_EQ(find("cirros").value(), "1");
}

TEST_F(NamedImagesTest, AnAnswerIsBelievedForAWhile) {
  offer("1", "cirros", 10);
  mount();
  EXPECT_EQ(find("cirros").value(), "1");
  EXPECT_EQ(find("cirros").value(), "1");
  EXPECT_EQ(upstream_.names_asked(), 1u);
  EXPECT_FALSE(find("nope"));
  EXPECT_FALSE(find("nope"));
  EXPECT_EQ(upstream_.names_asked(), 2u);
}

TEST_F(NamedImagesTest, ANameThatMovedOnIsFoundAgain) {
  config_.revalidate = 0s;
  offer("1", "cirros", 10);
  mount();
  EXPECT_EQ(find("cirros").value(), "1");
  offer("2", "cirros", 20);
  EXPECT_EQ(find("cirros").value(), "2");
  upstream_.remove("2");
  EXPECT_EQ(find("cirros").value(), "1");
}

TEST_F(NamedImagesTest, WhileUpstreamIsSilentItsLastWordHolds) {
  config_.revalidate = 0s;
  offer("1", "cirros", 10);
  mount();
  EXPECT_EQ(find("cirros").value(), "1");
  upstream_.fail_with(Error{ErrorKind::kDenied, "no"});
  EXPECT_EQ(find("cirros").error().kind, ErrorKind::kDenied);
  upstream_.fail_with(Error{ErrorKind::kTimeout, "silent"});
  EXPECT_EQ(find("cirros").value(), "1");
  EXPECT_EQ(find("other").error().kind, ErrorKind::kTimeout);
}

TEST_F(NamedImagesTest, AKnownNameDoesNotWaitLongForASilentUpstreamAndThenNotAtAll) {
  config_.revalidate = 0s;
  offer("1", "cirros", 10);
  mount();
  EXPECT_EQ(find("cirros").value(), "1");
  EXPECT_EQ(upstream_.names_patience(), Patience::kFull);
  upstream_.fail_with(Error{ErrorKind::kTimeout, "silent"});
  EXPECT_EQ(find("cirros").value(), "1");
  EXPECT_EQ(upstream_.names_patience(), Patience::kOneTry);
  const unsigned asked = upstream_.names_asked();
  EXPECT_EQ(find("cirros").value(), "1");
  EXPECT_EQ(upstream_.names_asked(), asked);
}

TEST_F(NamedImagesTest, ANameWhoseImageIsGoneIsAskedForAnew) {
  offer("1", "latest", 10);
  mount();
  EXPECT_EQ(find("latest").value(), "1");
  upstream_.remove("1");
  offer("2", "latest", 20);
  EXPECT_EQ(lookup("1").error().kind, ErrorKind::kNotFound);
  EXPECT_EQ(find("latest").value(), "2");
}

TEST_F(NamedImagesTest, WhatWasHeardWhileACatalogueWasReadCounts) {
  offer("1", "cirros", 10);
  std::vector<CatalogueEntry> old;
  for (const char* name : {"cirros", "debian"})
    old.push_back({id_of("1"), name, from_unix(10), std::nullopt});
  WorkerPool pool("pool", 1);
  NamedImages named(config_, upstream_.names(), {pool, pool}, [](const ImageId&) { return false; },
                    {});
  const auto find_in = [&](const std::string& name) {
    std::promise<std::string> answer;
    named.find(name, [&](Result<ImageId> id) { answer.set_value(id ? id->str() : ""); });
    return answer.get_future().get();
  };
  const auto asked = std::chrono::steady_clock::now();
  offer("2", "cirros", 20);
  EXPECT_EQ(find_in("cirros"), "2");
  named.catalogued(old, asked);
  EXPECT_EQ(find_in("cirros"), "2");
  EXPECT_EQ(find_in("debian"), "1");
  EXPECT_EQ(named.all().size(), 2u);
}

TEST_F(NamedImagesTest, ACrowdThatListsASlowCatalogueHoldsUpNoOpen) {
  for (int i = 0; i < 40; ++i) offer(std::to_string(i), "", i);
  config_.list_all = true;
  mount();
  auto image = lookup("7").value();
  upstream_.close_list_gate();
  std::atomic<int> listed{0};
  for (int i = 0; i < 30; ++i) store_->list([&](const auto&) { ++listed; });
  for (int i = 0; i < 30; ++i) store_->list_named([&](const auto&) { ++listed; });
  auto opened = std::make_shared<std::promise<bool>>();
  store_->open_image(image,
                     [opened](const auto& handle) { opened->set_value(handle.has_value()); });
  EXPECT_TRUE(wait_for(opened));
  EXPECT_EQ(listed, 0);
  upstream_.open_gates();
  list();
  while (listed < 60) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(upstream_.lists_asked(), 1u);
}

TEST_F(NamedImagesTest, WhoWaitsForACatalogueIsAnsweredAtTheEnd) {
  config_.list_all = true;
  mount();
  upstream_.close_list_gate();
  auto answer = std::make_shared<std::promise<void>>();
  store_->list([answer](const auto&) { answer->set_value(); });
  store_->shutdown();
  wait_for(answer);
}

TEST_F(NamedImagesTest, AnyNumberOfAskersAreOneQuestion) {
  offer("1", "cirros", 10);
  mount();
  std::atomic<int> found{0};
  std::vector<std::jthread> askers;
  for (int i = 0; i < 16; ++i) askers.emplace_back([&] { found += find("cirros").value() == "1"; });
  askers.clear();
  EXPECT_EQ(found, 16);
  EXPECT_EQ(upstream_.names_asked(), 1u);
}

TEST_F(NamedImagesTest, ImagesWithoutNamesHaveNone) {
  FakeUpstream nameless;
  auto store = ImageStore::open(config_, nameless).value();
  EXPECT_FALSE(store->has_names());
  std::promise<ErrorKind> answer;
  store->find_named("x", [&](Result<ImageId> id) { answer.set_value(id.error().kind); });
  EXPECT_EQ(answer.get_future().get(), ErrorKind::kNotFound);
}

TEST_F(NamedImagesTest, ACatalogueSavesTheQuestionsAboutItsImages) {
  for (int i = 0; i < 50; ++i) offer(std::to_string(i), "", i, 100 + static_cast<uint64_t>(i));
  config_.list_all = true;
  mount();
  list();
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(lookup(std::to_string(i)).value()->attr().size, 100u + static_cast<uint64_t>(i));
  EXPECT_EQ(upstream_.stats_asked(), 0u);
  EXPECT_EQ(upstream_.lists_asked(), 1u);
}

TEST_F(NamedImagesTest, WhatTheCatalogueSaidOfAnImageThatChangedSinceCountsNoMore) {
  offer("1", "", 1);
  config_.list_all = true;
  mount();
  list();
  {
    auto image = lookup("1").value();
    FakeUpstream::Image changed;
    changed.bytes = pattern_bytes(2000, 7);
    changed.etag = "\"v2\"";
    upstream_.put("1", std::move(changed));
    auto answer = std::make_shared<std::promise<ErrorKind>>();
    store_->open_image(image, [answer](Result<std::unique_ptr<ImageHandle>> handle) {
      auto shared = std::make_shared<std::unique_ptr<ImageHandle>>(std::move(*handle));
      (*shared)->read({0, 1000}, [answer, shared](Result<ImageBytes> bytes) {
        answer->set_value(bytes ? ErrorKind::kIo : bytes.error().kind);
      });
    });
    EXPECT_EQ(wait_for(answer), ErrorKind::kStale);
  }
  EXPECT_EQ(lookup("1").value()->attr().size, 2000u);
}

TEST_F(NamedImagesTest, WhatIsGoneSinceTheCatalogueWasReadStaysGone) {
  offer("1", "", 1);
  config_.list_all = true;
  config_.revalidate = 1s;
  config_.negative_ttl = 0s;
  mount();
  ASSERT_EQ(read("1"), std::nullopt);
  std::this_thread::sleep_for(600ms);
  list();
  upstream_.remove("1");
  std::this_thread::sleep_for(500ms);  // what it said of the image is too old, the catalogue is not
  EXPECT_EQ(read("1"), ErrorKind::kNotFound);
  EXPECT_EQ(lookup("1").error().kind, ErrorKind::kNotFound);
}

}  // namespace
}  // namespace imgcachefs
