// The directories, tags and links of a registry whose catalogue, tags or manifests are odd, many or
// endless (DESIGN 2.1 and 2.7).
#include <atomic>
#include <nlohmann/json.hpp>

#include "mount/registry_faults.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;

class RegistryNames : public RegistryFaults {
 protected:
  std::string link(const std::string& name) const {
    return std::filesystem::read_symlink(mount_->path(name));
  }
  std::string to(const std::string& blob) const { return "../../" + blob; }
  // The names of a tag's links, without the two that are in each.
  std::set<std::string> links_of(const std::string& tag) const {
    std::set<std::string> names = names_in("team/vm/.tags/" + tag);
    EXPECT_EQ(names.erase("config") + names.erase("manifest.json"), 2u);
    return names;
  }
  static json titled(const std::vector<std::pair<std::string, std::string>>& layers) {
    return FakeRegistry::image_of(layers);
  }
};

// --- the catalogue -------------------------------------------------------------------------------

// SEMANTICS: A name is a directory when a repository lies there or below, or when the registry does
// not tell its catalogue.
TEST_F(RegistryNames, WhereTheCatalogueIsRefusedAreWhatTheyCouldBe) {
  for (int status : {401, 403, 404, 405}) {
    well_again();
    server_.fault(Behaviour::of_status(status), FakeRegistry::catalogue(), 0);
    mount({"list=all"});
    EXPECT_TRUE(read(in("team/vm")).bytes == bytes_) << status;
    EXPECT_EQ(stat_errno("could/be/one"), 0);
    EXPECT_EQ(stat_errno("Never/one"), ENOENT);
    EXPECT_EQ(names_in(""), std::set<std::string>{"team"});  // what is cached
    EXPECT_EQ(server_.count(FakeRegistry::catalogue()), 1u) << status;
    server_.forget_requests();
  }
}

TEST_F(RegistryNames, WhereTheCatalogueMakesNoSenseAreWhatTheyCouldBe) {
  const auto page = [](const std::string& body) {
    Behaviour answer = Behaviour::of_status(200);
    answer.body = body;
    return answer;
  };
  Behaviour again = page(R"({"repositories":["a"]})");
  again.headers = {{"Link", "</v2/_catalog?n=1000>; rel=\"next\""}};
  for (const Behaviour& odd :
       {page("<html>Log in!</html>"), page("{}"), page(R"({"repositories":[1]})"), again}) {
    well_again();
    server_.fault(odd, FakeRegistry::catalogue(), 0);
    mount({"list=all"});
    EXPECT_TRUE(read(in("team/vm")).bytes == bytes_) << mount_->log();
    EXPECT_EQ(names_in(""), std::set<std::string>{"team"});
    EXPECT_GE(log_lines("_catalog"), 1u);
    // It is not read to its end for each look-up.
    EXPECT_EQ(stat_errno("one"), 0);
    EXPECT_EQ(stat_errno("two"), 0);
    EXPECT_LE(server_.count(FakeRegistry::catalogue()), 2u);
    server_.forget_requests();
  }
}

TEST_F(RegistryNames, WhereTheCatalogueIsEndless) {
  // The others are plain files: this registry can say nothing else.
  std::atomic<int> page{0};
  server_.on_request([&](const Request& request) -> Behaviour {
    if (request.path != "/v2/_catalog") return {};
    Behaviour answer = Behaviour::of_status(200);
    const std::string name = "repository" + std::to_string(++page);
    answer.body = json{{"repositories", {name}}}.dump();
    answer.headers = {{"Link", "</v2/_catalog?n=1000&last=" + name + ">; rel=\"next\""}};
    return answer;
  });
  mount();
  EXPECT_TRUE(read(in("team/vm")).bytes == bytes_) << mount_->log();
  const int pages = page;
  EXPECT_LE(pages, 10'000);
  EXPECT_EQ(stat_errno("one"), 0);
  EXPECT_EQ(page, pages);
}

TEST_F(RegistryNames, WhereTheCatalogueAloneFailsAreWhatTheyCouldBe) {
  const std::string blob = registry_.push("vm", "x");
  server_.fault(Behaviour::of_status(500), FakeRegistry::catalogue(), 0);
  mount({"retries=0"});
  EXPECT_EQ(read("vm/" + blob).bytes, "x") << mount_->log();
  EXPECT_EQ(read(in("team/vm")).bytes, bytes_);
  down();
  EXPECT_EQ(stat_errno("nothing"), EIO);
}

TEST_F(RegistryNames, OfTenThousandRepositoriesInPages) {
  constexpr int kMany = 10'000;
  for (int i = 0; i < kMany; ++i)
    registry_.refuse("many/r" + std::to_string(i) + (i % 2 == 0 ? "" : "/below"), 0);
  for (const char* odd : {"Upper", "a//b", "../up", "sp ace", ".tags", "a/.imgcachefs", "a:b", ""})
    registry_.refuse(odd, 0);
  registry_.page(500);
  mount({"list=all", "negative_ttl=60"});  // what is missing is asked for anew after it
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(names_in("many").size(), static_cast<size_t>(kMany));
  EXPECT_EQ(names_in(""), (std::set<std::string>{"many", "team"}));
  EXPECT_EQ(names_in("many/r1"), std::set<std::string>{"below"});
  EXPECT_EQ(stat_errno("many/r9998"), 0);
  EXPECT_EQ(stat_errno("many/r10000"), ENOENT);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(stat_errno("many/r" + std::to_string(i)), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s);
  EXPECT_EQ(server_.count(FakeRegistry::catalogue()), kMany / 500 + 1u);
  for (const char* odd : {"Upper", "a", "sp ace", "a:b"}) EXPECT_EQ(stat_errno(odd), ENOENT);
}

// --- tags ----------------------------------------------------------------------------------------

TEST_F(RegistryNames, OfTenThousandTags) {
  const std::string manifest = titled({{"disk", blob_}}).dump();
  for (int i = 0; i < 10'000; ++i)
    registry_.tag("team/vm", "v" + std::to_string(i), manifest, kOciManifest);
  mount();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(names_in("team/vm/.tags").size(), 10'000u);
  EXPECT_EQ(server_.count({"GET", FakeRegistry::manifest("team/vm", "v1").path}), 0u);
  EXPECT_EQ(link("team/vm/.tags/v9999/disk"), to(blob_));
  EXPECT_EQ(stat_errno("team/vm/.tags/v10000"), ENOENT);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s);
}

TEST_F(RegistryNames, OfATagThatMovesOnAndIsDeleted) {
  const std::string next = registry_.push("team/vm", "the next");
  registry_.tag("team/vm", "latest", titled({{"disk", blob_}}));
  mount({"revalidate=1"});
  EXPECT_EQ(link("team/vm/.tags/latest/disk"), to(blob_));
  const json first = json::parse(read("team/vm/.tags/latest/manifest.json").bytes);
  registry_.tag("team/vm", "latest", titled({{"disk", next}, {"more", blob_}}));
  EXPECT_TRUE(wait_until([&] { return link("team/vm/.tags/latest/disk") == to(next); }, 10s));
  EXPECT_EQ(read("team/vm/.tags/latest/disk").bytes, "the next");
  EXPECT_TRUE(wait_until([&] { return links_of("latest").size() == 2; }, 10s));
  EXPECT_NE(json::parse(read("team/vm/.tags/latest/manifest.json").bytes), first);
  server_.fault(Behaviour::of_status(404), FakeRegistry::manifest("team/vm", "latest"), 0);
  EXPECT_TRUE(wait_until([&] { return stat_errno("team/vm/.tags/latest") == ENOENT; }, 10s));
  EXPECT_EQ(stat_errno("team/vm/.tags/latest/disk"), ENOENT);
  EXPECT_EQ(read("team/vm/" + next).bytes, "the next");  // the blob is there
}

// --- manifests -----------------------------------------------------------------------------------

TEST_F(RegistryNames, OfAnIndexAreThoseOfThePlatform) {
  std::map<std::string, std::string> blobs;
  std::vector<std::pair<std::string, std::string>> offered;
  for (const char* platform : {"linux/arm/v6", "linux/arm/v7", "linux/amd64", "windows/amd64"}) {
    blobs[platform] = registry_.push("team/vm", platform);
    offered.emplace_back(platform,
                         registry_.tag("team/vm", "", titled({{"disk", blobs[platform]}})));
  }
  const std::string index = registry_.tag("team/vm", "index", FakeRegistry::index_of(offered));
  registry_.tag("team/vm", "nested", FakeRegistry::index_of({{"", index}}));
  for (const auto& [platform, blob] : blobs) {
    mount({"platform=" + platform});
    for (const char* tag : {"index", "nested"})
      EXPECT_EQ(link("team/vm/.tags/" + std::string(tag) + "/disk"), to(blob)) << platform;
  }
  mount({"platform=linux/riscv64"});
  EXPECT_NE(stat_errno("team/vm/.tags/index"), 0);
  EXPECT_THAT(mount_->log(), HasSubstr("linux/riscv64"));
}

TEST_F(RegistryNames, OfManifestsThatAreNoneOrOfArtifacts) {
  registry_.tag("team/vm", "schema1", R"({"schemaVersion":1,"name":"x","fsLayers":[]})",
                "application/vnd.docker.distribution.manifest.v1+prettyjws");
  json artifact = titled({{"model", blob_}});
  artifact["artifactType"] = "application/vnd.example.model";
  artifact["layers"][0]["mediaType"] = "application/x-qcow2";
  registry_.tag("team/vm", "artifact", artifact);
  std::string loop = registry_.tag("team/vm", "", titled({{"deep", blob_}}));
  for (int depth = 0; depth < 6; ++depth)
    loop = registry_.tag("team/vm", "", FakeRegistry::index_of({{"", loop}}));
  registry_.tag("team/vm", "deep", FakeRegistry::index_of({{"", loop}}));
  mount();
  EXPECT_EQ(links_of("artifact"), std::set<std::string>{"model"});
  for (const char* tag : {"schema1", "deep"}) {
    EXPECT_NE(stat_errno("team/vm/.tags/" + std::string(tag)), 0) << tag;
    EXPECT_GE(log_lines(std::string("manifests/")), 1u);
  }
  EXPECT_EQ(names_in("team/vm/.tags").size(), 3u);  // they are there, and cannot be read
}

TEST_F(RegistryNames, OfTitlesThatAreNoFileNames) {
  const std::string x = registry_.push("team/vm", "x"), y = registry_.push("team/vm", "y");
  const std::string longest(240, 'l'), too_long(255, 'l');
  registry_.tag("team/vm", "v1",
                titled({{"../../../etc/passwd", x},
                        {"a/b", x},
                        {"..", x},
                        {".", x},
                        {"", x},
                        {"same", x},
                        {"same", y},
                        {"same~2", x},
                        {"config", y},
                        {"manifest.json", y},
                        {longest, x},
                        {longest, y},
                        {too_long, x},
                        {too_long, y},
                        {std::string("nul\0in", 6), x},
                        {"new\nline", x}}));
  mount();
  const auto links = links_of("v1");
  EXPECT_EQ(links.size(), 16u);
  for (const std::string& name : links) {
    EXPECT_LE(name.size(), 255u) << name;
    const std::string path = "team/vm/.tags/v1/" + name;
    EXPECT_THAT((std::set<std::string>{"x", "y"}), testing::Contains(read(path).bytes)) << name;
  }
  EXPECT_TRUE(links.contains("a%2Fb"));
  EXPECT_EQ(link("team/vm/.tags/v1/same"), to(x));
  EXPECT_EQ(link("team/vm/.tags/v1/same~2"), to(y));
  EXPECT_EQ(link("team/vm/.tags/v1/config~2"), to(y));
  EXPECT_EQ(link("team/vm/.tags/v1/" + longest), to(x));
}

TEST_F(RegistryNames, ThatAreNoUtf8AreNoManifest) {
  std::string text = titled({{"TITLE", blob_}}).dump();
  text.replace(text.find("TITLE"), 5, "\xff\xfe");
  registry_.tag("team/vm", "bytes", text, kOciManifest);
  text = titled({{"TITLE", blob_}}).dump();
  text.replace(text.find("TITLE"), 5, "\\ud800");  // half of a pair
  registry_.tag("team/vm", "half", text, kOciManifest);
  mount();
  for (const char* tag : {"bytes", "half"}) {
    const int error = stat_errno("team/vm/.tags/" + std::string(tag));
    EXPECT_EQ(error, EIO) << tag;
  }
}

// As long as a manifest may be: a look-up must not take the time of all pairs of its layers.
TEST_F(RegistryNames, OfThousandsOfLayersWithOneTitle) {
  std::vector<std::pair<std::string, std::string>> layers(9000, {"same", blob_});
  registry_.tag("team/vm", "v1", titled(layers));
  mount();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(links_of("v1").size(), layers.size());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(link("team/vm/.tags/v1/same~8999"), to(blob_));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 15s);
}

}  // namespace
}  // namespace imgcachefs::test
