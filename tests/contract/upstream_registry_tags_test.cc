// What a registry lists, and what its tags are.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "contract/oci_upstream.h"

namespace imgcachefs {
namespace {

using namespace test;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class RegistryTags : public RegistryUpstream {
 protected:
  void SetUp() override {
    RegistryUpstream::SetUp();
    open();
  }
  auto catalogue() { return repositories().catalogue(Patience::kFull, {}); }
  auto tags(const std::string& repository) {
    return repositories().tags(repository, Patience::kFull, {});
  }
  auto tag(const std::string& name = "latest") {
    return repositories().tag("team/vm", name, Patience::kFull, {});
  }
  std::vector<std::string> titles(const std::string& name = "latest") {
    auto got = tag(name);
    EXPECT_TRUE(got) << got.error().message;
    std::vector<std::string> out;
    if (got)
      for (const TaggedImage& image : got->images) out.push_back(image.title);
    return out;
  }
  static Behaviour answer_of(const std::string& body, const std::string& link = "") {
    Behaviour answer = Behaviour::of_status(200);
    answer.body = body;
    if (!link.empty()) answer.headers = {{"Link", link}};
    return answer;
  }
  std::string push(const std::string& title) {  // a manifest without a tag
    return registry_.tag("team/vm", "", FakeRegistry::image_of({{title, blob_}}));
  }
};

// Lists.

TEST_F(RegistryTags, TheCatalogue) {
  registry_.push("a", "x");
  registry_.push("b/c", "x");
  EXPECT_THAT(catalogue().value(), UnorderedElementsAre("team/vm", "a", "b/c"));
  EXPECT_THAT(server_.requests().back().target, HasSubstr("/v2/_catalog?n="));
}

TEST_F(RegistryTags, AllPagesAreTurned) {
  std::vector<std::string> names{"team/vm"};
  for (int i = 0; i < 7; ++i) {
    names.push_back("r" + std::to_string(i));
    registry_.push(names.back(), "x");
    registry_.tag("team/vm", "t" + std::to_string(i), FakeRegistry::image_of({}));
  }
  for (size_t page : {1, 2, 7, 8, 9}) {
    registry_.page(page);
    EXPECT_THAT(catalogue().value(), ::testing::UnorderedElementsAreArray(names)) << page;
    EXPECT_EQ(tags("team/vm")->size(), 7u) << page;
  }
}

TEST_F(RegistryTags, ANextPageMayBeAFullUrl) {
  server_.fault(answer_of(R"({"repositories":["a"]})",
                          "<" + server_.url("/v2/_catalog?last=a&n=1") + ">; rel=\"next\""),
                FakeRegistry::catalogue());
  EXPECT_THAT(catalogue().value(), UnorderedElementsAre("a", "team/vm"));
  EXPECT_THAT(server_.requests().back().target, "/v2/_catalog?last=a&n=1");
}

TEST_F(RegistryTags, PagesThatLeadElsewhereAreRefused) {
  FaultServer other;
  for (const std::string& next :
       {other.url("/v2/_catalog?last=a"), "//" + other.authority() + "/v2/_catalog?last=a",
        std::string("https://127.0.0.1/v2/_catalog"), std::string("/v2/team/vm/tags/list?last=a"),
        std::string("/v2/_catalog?n=1000"), std::string("file:///etc/passwd"),
        "http://u:p@" + server_.authority() + "/v2/_catalog?last=a"}) {
    server_.fault(answer_of(R"({"repositories":[]})", "<" + next + ">; rel=\"next\""),
                  FakeRegistry::catalogue());
    EXPECT_KIND(catalogue(), ErrorKind::kProtocol);
  }
  EXPECT_THAT(other.requests(), IsEmpty());
}

TEST_F(RegistryTags, PagesWithoutAnEndAreRefused) {
  std::atomic<int> pages = 0;
  server_.on_request([&](const Request&) {
    return answer_of(R"({"repositories":["a"]})",
                     fmt::format("</v2/_catalog?last={}>; rel=next", ++pages));
  });
  EXPECT_KIND(catalogue(), ErrorKind::kProtocol);
  EXPECT_EQ(pages, 10'000);
  server_.on_request([&](const Request& request) {  // a ring
    return answer_of(R"({"repositories":["a"]})",
                     fmt::format("</v2/_catalog?last={}>; rel=\"next\"",
                                 request.target.ends_with("=a") ? "b" : "a"));
  });
  server_.forget_requests();
  EXPECT_KIND(catalogue(), ErrorKind::kProtocol);
  EXPECT_EQ(server_.requests().size(), 3u);
  server_.on_request([&](const Request& request) {  // back to what was too much
    return request.target.ends_with("n=1000")
               ? Behaviour::of_status(400)
               : answer_of(R"({"repositories":["a"]})", "</v2/_catalog?n=1000>; rel=\"next\"");
  });
  EXPECT_KIND(catalogue(), ErrorKind::kProtocol);
}

TEST_F(RegistryTags, AsManyAsTheRegistryLikes) {
  server_.fault(Behaviour::of_status(400), FakeRegistry::catalogue());
  EXPECT_THAT(catalogue().value(), ElementsAre("team/vm"));
  EXPECT_EQ(server_.requests().back().target, "/v2/_catalog");
  server_.fault(Behaviour::of_status(400), FakeRegistry::catalogue(), 2);
  EXPECT_KIND(catalogue(), ErrorKind::kProtocol);
}

TEST_F(RegistryTags, ACatalogueThatIsNotToldIsDenied) {
  for (int status : {401, 403, 404, 405, 501}) {
    server_.fault(Behaviour::of_status(status), FakeRegistry::catalogue());
    EXPECT_KIND(catalogue(), ErrorKind::kDenied);
  }
  server_.fault(Behaviour::of_status(503), FakeRegistry::catalogue());
  EXPECT_TRUE(catalogue());
  server_.fault(Behaviour::of_status(503), FakeRegistry::catalogue(), 3);
  EXPECT_KIND(catalogue(), ErrorKind::kUnavailable);
}

TEST_F(RegistryTags, WhatIsNoNameIsLeftOut) {
  server_.fault(answer_of(R"({"repositories":["a","A","../b","","a","c/d","e//f","\u0000"]})"),
                FakeRegistry::catalogue());
  EXPECT_THAT(catalogue().value(), UnorderedElementsAre("a", "c/d"));
  server_.fault(answer_of(R"({"name":"team/vm","tags":["v1",".x","a/b","a b","v1","_"]})"),
                FakeRegistry::tags("team/vm"));
  EXPECT_THAT(tags("team/vm").value(), UnorderedElementsAre("v1", "_"));
}

TEST_F(RegistryTags, HostileListsAreRefused) {
  for (const std::string& body :
       {std::string(), std::string("[]"), std::string("{}"), std::string("<html>"),
        std::string(R"({"repositories":"a"})"), std::string(R"({"repositories":[7]})"),
        std::string(R"({"repositories":{}})"), std::string(100'000, '[')}) {
    server_.fault(answer_of(body), FakeRegistry::catalogue());
    EXPECT_KIND(catalogue(), ErrorKind::kProtocol);
  }
  server_.fault(answer_of(R"({"repositories":null})"), FakeRegistry::catalogue());
  EXPECT_THAT(catalogue().value(), IsEmpty());
  server_.fault({.other_content = Content::generated(1ULL << 40)}, FakeRegistry::tags("team/vm"));
  EXPECT_KIND(tags("team/vm"), ErrorKind::kProtocol);
}

TEST_F(RegistryTags, OfARepository) {
  EXPECT_THAT(tags("team/vm").value(), IsEmpty());
  server_.fault(answer_of(R"({"name":"team/vm","tags":null})"), FakeRegistry::tags("team/vm"));
  EXPECT_THAT(tags("team/vm").value(), IsEmpty());
  for (const char* name : {"latest", "v1", "v2"})
    registry_.tag("team/vm", name, FakeRegistry::image_of({}));
  EXPECT_THAT(tags("team/vm").value(), UnorderedElementsAre("latest", "v1", "v2"));
}

TEST_F(RegistryTags, OfNoRepository) {
  EXPECT_KIND(tags("team"), ErrorKind::kNotFound);
  EXPECT_KIND(tags("no/such"), ErrorKind::kNotFound);
  registry_.refuse("team/vm", 403);
  EXPECT_KIND(tags("team/vm"), ErrorKind::kDenied);
  server_.forget_requests();
  for (const char* bad : {"", "Team", "a/../b", "/a"}) EXPECT_KIND(tags(bad), ErrorKind::kNotFound);
  EXPECT_THAT(asked(), IsEmpty());
}

// Manifests.

TEST_F(RegistryTags, AManifestIsWhatATagIs) {
  const std::string second = registry_.push("team/vm", "second");
  const json manifest = FakeRegistry::image_of({{"disk.qcow2", blob_}, {"", second}});
  for (const std::string& type : {kOciManifest, kDockerManifest}) {
    json typed = manifest;
    typed["mediaType"] = type;
    const std::string text = typed.dump(2) + "\n";
    registry_.tag("team/vm", "latest", text, type);
    auto got = tag();
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_EQ(got->manifest, text);
    ASSERT_EQ(got->images.size(), 3u);
    EXPECT_EQ(got->images[0].title, "config");
    EXPECT_EQ(got->images[1].title, "disk.qcow2");
    EXPECT_EQ(got->images[1].id.str(), blob_);
    EXPECT_EQ(got->images[2].title, "layer-1.tar.gz");
    EXPECT_EQ(got->images[2].id.str(), second);
  }
  const std::string accept = server_.requests().back().header("accept");
  for (const std::string& type : {kOciManifest, kOciIndex, kDockerManifest, kDockerList})
    EXPECT_THAT(accept, HasSubstr(type));
}

TEST_F(RegistryTags, ATagThatIsNotThereIsNotFound) {
  EXPECT_KIND(tag("no_such"), ErrorKind::kNotFound);
  EXPECT_KIND(repositories().tag("no/such", "latest", Patience::kFull, {}), ErrorKind::kNotFound);
  server_.forget_requests();
  for (const char* bad : {"", ".", "..", "a/b", "a b", "sha256:00"})
    EXPECT_KIND(tag(bad), ErrorKind::kNotFound);
  EXPECT_KIND(repositories().tag("Bad", "latest", Patience::kFull, {}), ErrorKind::kNotFound);
  EXPECT_THAT(asked(), IsEmpty());
}

TEST_F(RegistryTags, AManifestMustHaveTheDigestTheRegistryNames) {
  registry_.tag("team/vm", "latest", FakeRegistry::image_of({{"disk", blob_}}));
  const Match manifest = FakeRegistry::manifest("team/vm", "latest");
  Content content = Content::of(FakeRegistry::image_of({{"disk", blob_}}).dump());
  content.content_type = kOciManifest;
  for (const std::string& wrong :
       {digest_of_bytes("other"), digest_of_bytes("other", DigestAlgo::kSha512),
        std::string("nonsense"), std::string("md5:d41d8cd98f00b204e9800998ecf8427e")}) {
    content.headers = {{"Docker-Content-Digest", wrong}};
    server_.fault({.other_content = content}, manifest);
    EXPECT_KIND(tag(), ErrorKind::kProtocol);
  }
  content.headers = {};  // not every registry says it
  server_.fault({.other_content = content}, manifest);
  EXPECT_TRUE(tag());
}

TEST_F(RegistryTags, OfAnIndexThePlatformsManifestCounts) {
  const std::string amd64 = push("amd64"), arm64 = push("arm64"), attestation = push("attestation");
  for (const std::string& type : {kOciIndex, kDockerList}) {
    registry_.tag(
        "team/vm", "latest",
        FakeRegistry::index_of(
            {{"unknown/unknown", attestation}, {"linux/arm64/v8", arm64}, {"linux/amd64", amd64}},
            type));
    open();
    EXPECT_THAT(titles(), ElementsAre("config", "amd64"));
    open({.platform = {"linux", "arm64", ""}});
    EXPECT_THAT(titles(), ElementsAre("config", "arm64"));
    open({.platform = {"linux", "s390x", ""}});
    auto none = tag();
    EXPECT_KIND(none, ErrorKind::kNotFound);
    EXPECT_THAT(none.error().message, HasSubstr("linux/arm64/v8, linux/amd64"));
  }
}

TEST_F(RegistryTags, TheManifestOfAnIndexMustHaveTheDigestThatNamesIt) {
  const std::string amd64 = push("amd64");
  registry_.tag("team/vm", "latest", FakeRegistry::index_of({{"linux/amd64", amd64}}));
  Content other = Content::of(FakeRegistry::image_of({{"evil", blob_}}).dump());
  other.content_type = kOciManifest;
  other.headers = {{"Docker-Content-Digest", amd64}};
  server_.fault({.other_content = other}, FakeRegistry::manifest("team/vm", amd64));
  auto got = tag();
  EXPECT_KIND(got, ErrorKind::kProtocol);
  EXPECT_THAT(got.error().message, HasSubstr(amd64));
  EXPECT_THAT(titles(), ElementsAre("config", "amd64"));
  server_.fault(Behaviour::of_status(404), FakeRegistry::manifest("team/vm", amd64));
  EXPECT_KIND(tag(), ErrorKind::kNotFound);
}

TEST_F(RegistryTags, AnIndexMayBeInAnIndexButNotForEver) {
  std::string inner = push("disk");
  for (int depth = 1; depth <= 4; ++depth) {
    inner = registry_.tag("team/vm", "latest", FakeRegistry::index_of({{"", inner}}));
    if (depth <= 3)
      EXPECT_THAT(titles(), ElementsAre("config", "disk")) << depth;
    else
      EXPECT_KIND(tag(), ErrorKind::kProtocol);
  }
}

TEST_F(RegistryTags, HostileManifestsAreRefused) {
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("<html>"), std::string(100'000, '['),
        std::string(R"({"schemaVersion":1,"fsLayers":[]})")}) {
    registry_.tag("team/vm", "latest", text, kOciManifest);
    auto got = tag();
    EXPECT_KIND(got, ErrorKind::kProtocol);
    EXPECT_THAT(got.error().message, HasSubstr("/v2/team/vm/manifests/latest"));
  }
  server_.fault({.other_content = Content::generated((4 << 20) + 1)},
                FakeRegistry::manifest("team/vm", "latest"));
  EXPECT_KIND(tag(), ErrorKind::kProtocol);
}

TEST_F(RegistryTags, OneTryIsOneBudgetForAnIndexAndItsManifest) {
  const std::string amd64 = push("amd64");
  registry_.tag("team/vm", "latest", FakeRegistry::index_of({{"linux/amd64", amd64}}));
  server_.fault({.stall_before_head = true}, FakeRegistry::manifest("team/vm", amd64));
  EXPECT_KIND(repositories().tag("team/vm", "latest", Patience::kOneTry, {}), ErrorKind::kTimeout);
}

TEST_F(RegistryTags, AStoppedCallIsCancelled) {
  std::stop_source stopped;
  stopped.request_stop();
  const auto stop = stopped.get_token();
  EXPECT_KIND(repositories().catalogue(Patience::kFull, stop), ErrorKind::kCancelled);
  EXPECT_KIND(repositories().tags("team/vm", Patience::kFull, stop), ErrorKind::kCancelled);
  EXPECT_KIND(repositories().tag("team/vm", "latest", Patience::kFull, stop),
              ErrorKind::kCancelled);
  EXPECT_THAT(asked(), IsEmpty());
}

TEST_F(RegistryTags, ARegistryThatIsGoneIsUnavailable) {
  auto gone = std::make_unique<FakeRegistry>();
  const std::string url = gone->url();
  gone.reset();
  upstream_ = open_registry_at(registry_config(url));
  EXPECT_KIND(catalogue(), ErrorKind::kUnavailable);
  EXPECT_KIND(tags("team/vm"), ErrorKind::kUnavailable);
  EXPECT_KIND(tag(), ErrorKind::kUnavailable);
  EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kUnavailable);
}

}  // namespace
}  // namespace imgcachefs
