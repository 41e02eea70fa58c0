// What names below the mount of a registry stand for.
#include "fs/repository_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "support/fake_repositories.h"
#include "support/fake_upstream.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class RepositoryTreeTest : public ::testing::Test {
 protected:
  RepositoryTreeTest() {
    upstream_.with_repositories(registry_);
    test::FakeUpstream::Image image;
    image.bytes = test::pattern_bytes(1000, 1);
    upstream_.put(id_.str(), std::move(image));
    registry_.put("team/vm", id_);
    registry_.put_tag("team/vm", "latest", {"{}", {{"disk.img", id_, 1000}}});
    StoreConfig config;
    config.cache_dir = dir_.file("cache");
    config.source = "fake:";
    store_ = ImageStore::open(config, upstream_).value();
    tree_ = tree_of(*store_);
  }

  Result<Found> find(const std::string& directory, const std::string& name) {
    auto answer = std::make_shared<std::promise<Result<Found>>>();
    tree_->find(directory, name, [answer](Result<Found> found) { answer->set_value(found); });
    auto future = answer->get_future();
    if (future.wait_for(20s) != std::future_status::ready) throw std::runtime_error("no answer");
    return future.get();
  }
  template <typename Kind>
  Kind find_named(const std::string& directory, const std::string& name) {
    return std::get<Kind>(std::get<NamedNode>(find(directory, name).value()));
  }
  ErrorKind refusal(const std::string& directory, const std::string& name) {
    return find(directory, name).error().kind;
  }
  std::vector<std::string> list(const std::string& directory) {
    auto answer = std::make_shared<std::promise<std::vector<std::string>>>();
    tree_->list(directory, [answer](const Result<OpenDirectory>& listed) {
      std::vector<std::string> names;
      for (size_t i = 0; i < listed.value().size(); ++i) names.push_back(listed.value()[i].name);
      answer->set_value(names);
    });
    return answer->get_future().get();
  }

  const ImageId id_ = ImageId::parse("sha256:1").value();
  test::TempDir dir_;
  test::FakeUpstream upstream_;
  test::FakeRepositories registry_;
  std::unique_ptr<ImageStore> store_;
  std::unique_ptr<Tree> tree_;
};

TEST_F(RepositoryTreeTest, LeadsFromTheMountToAnImage) {
  EXPECT_EQ(find_named<Directory>("", "team").path, "team");
  EXPECT_EQ(find_named<Directory>("team", "vm").path, "team/vm");
  const auto image = std::get<std::shared_ptr<Image>>(find("team/vm", "sha256:1").value());
  EXPECT_EQ(image->id(), id_);
  EXPECT_EQ(image->attr().size, 1000u);
}

TEST_F(RepositoryTreeTest, WhatIsNotThereIsNotFound) {
  EXPECT_EQ(refusal("", "sha256:1"), ErrorKind::kNotFound);
  EXPECT_EQ(refusal("team", "sha256:1"), ErrorKind::kNotFound);
  EXPECT_EQ(refusal("team/vm", "sha256:2"), ErrorKind::kNotFound);
  EXPECT_EQ(refusal("", "other"), ErrorKind::kNotFound);
  EXPECT_EQ(refusal("", ".tags"), ErrorKind::kNotFound);
  EXPECT_EQ(refusal("team", ".tags"), ErrorKind::kNotFound);
  EXPECT_EQ(refusal("team/vm/.tags", "none"), ErrorKind::kNotFound);
  EXPECT_EQ(refusal("team/vm/.tags/latest", "none"), ErrorKind::kNotFound);
  EXPECT_EQ(refusal("team/vm", "by-name"), ErrorKind::kNotFound);
}

TEST_F(RepositoryTreeTest, ATagIsADirectoryOfLinks) {
  EXPECT_EQ(find_named<Directory>("team/vm", ".tags").path, "team/vm/.tags");
  EXPECT_EQ(find_named<Directory>("team/vm/.tags", "latest").path, "team/vm/.tags/latest");
  EXPECT_EQ(find_named<Link>("team/vm/.tags/latest", "disk.img"),
            (Link{"team/vm/.tags/latest/disk.img", "../../sha256:1"}));
  EXPECT_EQ(*find_named<TextFile>("team/vm/.tags/latest", "manifest.json").text, "{}");
  EXPECT_THAT(list("team/vm/.tags"), ElementsAre("latest"));
  EXPECT_THAT(list("team/vm/.tags/latest"), UnorderedElementsAre("manifest.json", "disk.img"));
}

// A manifest may have megabytes, and the kernel may know thousands of them.
TEST_F(RepositoryTreeTest, TheTextOfAManifestIsKeptOnce) {
  const auto text = [&] {
    return find_named<TextFile>("team/vm/.tags/latest", "manifest.json").text;
  };
  EXPECT_EQ(text().get(), text().get());
}

TEST_F(RepositoryTreeTest, WhatMayNotBePulledIsRefused) {
  registry_.deny("team/vm");
  EXPECT_EQ(refusal("team/vm", "sha256:1"), ErrorKind::kDenied);
  EXPECT_EQ(refusal("team/vm", ".tags"), ErrorKind::kDenied);
}

TEST(TagLinks, AreFileNamesAndUnique) {
  const ImageId a = ImageId::parse("sha256:a").value(), b = ImageId::parse("sha256:b").value();
  const Tag tag{"{}",
                {{"disk", a, 1},
                 {"disk", b, 1},
                 {"disk~2", a, 1},
                 {"manifest.json", a, 1},
                 {"dir/x", b, 1},
                 {"..", b, 1},
                 {std::string(300, 'x'), b, 1}}};
  std::vector<std::string> names;
  for (const auto& [name, id] : tag_links(tag)) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("disk", "disk~2", "disk~2~2", "manifest.json~2", "dir%2Fx", "%2E.",
                                 "sha256:b"));
}

TEST(TagLinks, AreNoLongerThanAFileNameCanBe) {
  const ImageId a = ImageId::parse("sha256:a").value(), b = ImageId::parse("sha256:b").value();
  const std::string title(254, 'x');
  for (const auto& [name, id] : tag_links({"{}", {{title, a, 1}, {title, b, 1}}}))
    EXPECT_LE(name.size(), 255u);
}

// Each would try the names of all before it: it took longer than anybody waits for.
TEST(TagLinks, OfAHundredThousandWithOneTitleAreMadeAtOnce) {
  const TaggedImage image{"disk", ImageId::parse("sha256:a").value(), 1};
  const auto links = tag_links({"{}", std::vector<TaggedImage>(100'000, image)});
  EXPECT_EQ(links.back().first, "disk~100000");
}

}  // namespace
}  // namespace imgcachefs
