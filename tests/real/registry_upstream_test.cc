// The registry as upstream, against the real docker-registry.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "contract/oci_fixture.h"
#include "fetch/redis_layer_info.h"
#include "real/registry_server.h"
#include "support/redis_server.h"

namespace imgcachefs::test {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

const std::string kRepository = "team/vm";

class RealRegistry : public ::testing::Test {
 protected:
  void start(RegistryOptions options = {}, std::vector<std::string> logins = {""}) {
    registry_ = std::make_unique<RegistryServer>(std::move(options));
    RegistryConfig config = registry_config(registry_->url());
    config.auth = std::make_unique<ScriptedAuth>(std::move(logins));
    config.layer_info = {layer_info_, layer_info_};
    upstream_ = open_registry_at(std::move(config));
  }
  Repositories& repositories() { return *upstream_->repositories(); }
  auto stat(const std::string& repository, const std::string& id) {
    return repositories().stat(repository, id_of(id), Patience::kFull, {});
  }
  auto tags(const std::string& repository) {
    return repositories().tags(repository, Patience::kFull, {});
  }
  auto tag(const std::string& name) {
    return repositories().tag(kRepository, name, Patience::kFull, {});
  }
  void expect_read(const std::string& id, ByteRange range) {
    auto image = stat(kRepository, id);
    ASSERT_TRUE(image) << image.error().message;
    EXPECT_EQ(image->size, bytes_.size());
    StringSink sink;
    auto outcome = upstream_->read(*image, range, sink, {});
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_TRUE(sink.text == bytes_.substr(range.begin, range.size()));
  }
  void expect_reads(const std::string& id) {
    for (ByteRange range : {ByteRange{0, bytes_.size()}, ByteRange{0, 10}, ByteRange{1000, 70'000},
                            ByteRange{bytes_.size() - 6, bytes_.size()}})
      expect_read(id, range);
  }

  const std::string bytes_ = pattern_string(11, 0, 1 << 20);
  std::unique_ptr<RegistryServer> registry_;
  std::shared_ptr<SimpleLayerInfo> layer_info_ = std::make_shared<SimpleLayerInfo>();
  std::unique_ptr<Upstream> upstream_;
};

TEST_F(RealRegistry, BlobsAreRead) {
  start();
  const std::string id = registry_->push_blob(kRepository, bytes_);
  expect_reads(id);
  EXPECT_EQ(registry_->requests_of(id, "HEAD").size(), 1u);
  EXPECT_EQ(upstream_->stats().errors, 0u);
}

TEST_F(RealRegistry, WhatIsNotThereIsNotFound) {
  start();
  const std::string id = registry_->push_blob("other", bytes_);
  EXPECT_TRUE(stat("other", id));
  for (const auto& [repository, blob] :
       {std::pair(kRepository, id), std::pair(std::string("other"), digest_of_bytes("x")),
        std::pair(std::string("other"), digest_of_bytes(bytes_, DigestAlgo::kSha512))})
    EXPECT_KIND(stat(repository, blob), ErrorKind::kNotFound);
  EXPECT_KIND(tags("no/such"), ErrorKind::kNotFound);
  EXPECT_KIND(tag("latest"), ErrorKind::kNotFound);
}

TEST_F(RealRegistry, AnEmptyBlob) {
  start();
  const std::string id = registry_->push_blob(kRepository, "");
  auto image = stat(kRepository, id);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->size, 0u);
}

TEST_F(RealRegistry, AWrongSizeIsStaleWhereverIsRead) {
  start();
  const std::string id = registry_->push_blob(kRepository, bytes_);
  const Digest blob = Digest::parse_tagged(id).value();
  ASSERT_TRUE(stat(kRepository, id));
  for (uint64_t wrong : {bytes_.size() - 1, 2 * bytes_.size()}) {
    for (ByteRange range : {ByteRange{0, wrong}, ByteRange{0, 10}, ByteRange{wrong - 10, wrong}}) {
      layer_info_->set(blob, {kRepository, wrong});
      StringSink sink;
      EXPECT_KIND(upstream_->read(*stat(kRepository, id), range, sink, {}), ErrorKind::kStale);
      EXPECT_EQ(sink.text, "");
      EXPECT_EQ(stat(kRepository, id)->size, bytes_.size());
    }
  }
}

TEST_F(RealRegistry, ImagesAndTheirTags) {
  start();
  registry_->push_image(kRepository, "v1",
                        {{.bytes = bytes_, .title = "disk.raw"}, {.bytes = "x"}});
  registry_->push_image("a/b", "v1", {{.bytes = "y"}});
  EXPECT_THAT(repositories().catalogue(Patience::kFull, {}).value(),
              UnorderedElementsAre(kRepository, "a/b"));
  EXPECT_THAT(tags(kRepository).value(), ElementsAre("v1"));
  EXPECT_KIND(tags("team"), ErrorKind::kNotFound);
  auto got = tag("v1");
  ASSERT_TRUE(got) << got.error().message;
  ASSERT_EQ(got->images.size(), 3u);
  EXPECT_EQ(got->images[0].title, "config");
  EXPECT_EQ(got->images[1].title, "disk.raw");
  EXPECT_EQ(got->images[1].id.str(), digest_of_bytes(bytes_));
  EXPECT_EQ(got->images[1].size, bytes_.size());
  EXPECT_EQ(got->images[2].title, "layer-1.tar");
  for (const TaggedImage& image : got->images)
    EXPECT_EQ(stat_of(*upstream_, image.id.str()).size, image.size);
  expect_reads(got->images[1].id.str());
}

TEST_F(RealRegistry, TheCatalogueInPages) {
  start();
  std::vector<std::string> names;
  for (int i = 0; i < 5; ++i) {
    names.push_back("r" + std::to_string(i));
    registry_->push_image(names.back(), "v1", {{.bytes = "x"}});
  }
  EXPECT_THAT(repositories().catalogue(Patience::kFull, {}).value(),
              ::testing::UnorderedElementsAreArray(names));
}

TEST_F(RealRegistry, AnIndexOfPlatforms) {
  start();
  const std::string amd64 =
      registry_->push_image(kRepository, "amd64", {{.bytes = bytes_, .title = "disk.raw"}});
  const std::string arm64 = registry_->push_image(kRepository, "arm64", {{.bytes = "arm"}});
  nlohmann::json index = {{"schemaVersion", 2}, {"mediaType", kOciIndex}};
  for (const auto& [digest, architecture] :
       {std::pair(arm64, "arm64"), std::pair(amd64, "amd64")}) {
    const auto reply = registry_->call("HEAD", "/v2/" + kRepository + "/manifests/" + digest,
                                       {{"Accept", kOciManifest}});
    auto one = descriptor(kOciManifest, digest, std::stoull(reply.headers.at("content-length")));
    one["platform"] = {{"os", "linux"}, {"architecture", architecture}};
    index["manifests"].push_back(one);
  }
  registry_->push_manifest(kRepository, "all", index);
  auto got = tag("all");
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->images.at(1).title, "disk.raw");
  EXPECT_EQ(digest_of_bytes(got->manifest), amd64);
}

TEST_F(RealRegistry, WithBasicAuthentication) {
  start({.user = "alice", .password = "alicepw"}, {"", "Basic YWxpY2U6YWxpY2Vwdw=="});
  expect_reads(registry_->push_blob(kRepository, bytes_));
  EXPECT_KIND(tags("no/such"), ErrorKind::kNotFound);
}

TEST_F(RealRegistry, WithAWrongPassword) {
  start({.user = "alice", .password = "alicepw"}, {"", "Basic YWxpY2U6d3Jvbmc="});
  const std::string id = registry_->push_blob(kRepository, bytes_);
  EXPECT_KIND(stat(kRepository, id), ErrorKind::kDenied);
  EXPECT_KIND(tags(kRepository), ErrorKind::kDenied);
  EXPECT_KIND(repositories().catalogue(Patience::kFull, {}), ErrorKind::kDenied);
}

TEST_F(RealRegistry, WithATokenServer) {
  TokenServerOptions options = kTokensForAlice;
  options.issuer = "test-issuer";
  TokenServer tokens(options);
  start({.token = RegistryToken{.realm = tokens.realm(), .certificate = tokens.cert_file()}});
  const auto given =
      http_ok({.url = tokens.realm() +
                      "?service=my-registry&scope=repository:team/vm:push,pull&account=alice",
               .headers = {{"Authorization", "Basic YWxpY2U6YWxpY2Vwdw=="}}});
  registry_->authorize("Bearer " + given.json()["token"].get<std::string>());
  registry_->push_image(kRepository, "v1", {{.bytes = bytes_, .title = "disk.raw"}});

  upstream_ = open_registry_source(registry_->url(), "alice", "alicepw");
  const size_t before = tokens.count();
  expect_reads(digest_of_bytes(bytes_));
  EXPECT_THAT(tags(kRepository).value(), ElementsAre("v1"));
  EXPECT_TRUE(tag("v1"));
  EXPECT_EQ(tokens.count(), before + 1);
  upstream_ = open_registry_source(registry_->url(), "alice", "wrong");
  EXPECT_KIND(stat(kRepository, digest_of_bytes(bytes_)), ErrorKind::kDenied);
}

TEST_F(RealRegistry, ABlobThatIsShortInTheStoreIsAsShortAsItSays) {
  start();
  const std::string id = registry_->push_blob(kRepository, bytes_);
  std::filesystem::resize_file(registry_->blob_file(id), 1000);
  auto image = stat(kRepository, id);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->size, 1000u);
}

TEST_F(RealRegistry, ThatSharesARedisWithUsAndIsToldALie) {
  RedisServer redis;
  start({.redis = &redis});
  const std::string id = registry_->push_blob(kRepository, bytes_);
  RegistryConfig config = registry_config(registry_->url());
  config.layer_info = open_redis_layer_info(redis.url()).value();
  upstream_ = open_registry_at(std::move(config));
  expect_reads(id);
  // One that both believe is seen by nobody but who computes the digest. One that only we believe:
  redis.command({"HSET", "blobs::" + id, "length", "77"});
  redis.command({"HDEL", "blobs::" + id, "size"});
  auto image = stat(kRepository, id);
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->size, 77u);
  StringSink sink;
  EXPECT_KIND(upstream_->read(*image, {0, 77}, sink, {}), ErrorKind::kStale);
  expect_reads(id);
}

}  // namespace
}  // namespace imgcachefs::test
