// What the fixtures promise to the tests that use them: the real servers do what Debian's do.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "real/glance_server.h"
#include "real/keystone_server.h"
#include "real/registry_server.h"
#include "support/certificate.h"
#include "support/checksum.h"
#include "support/nginx.h"
#include "support/redis_server.h"

namespace imgcachefs::test {
namespace {

namespace fs = std::filesystem;

std::string data(const std::string& id) {
  return "/v2/images/" + id + "/file";
}

TEST(GlanceServer, ServesWhatWasUploadedAndRecordsWhoAsked) {
  GlanceServer glance;
  const std::string chosen = "11111111-2222-3333-4444-555555555555";
  const std::string id = glance.create({.name = "disk",
                                        .bytes = std::string(100'000, 'x'),
                                        .id = chosen,
                                        .properties = {{"a", "b"}}});
  EXPECT_EQ(id, chosen);
  EXPECT_EQ(glance.metadata(id)["a"], "b");
  EXPECT_EQ(glance.metadata(id)["size"], 100'000);

  EXPECT_EQ(glance.call("GET", data(id)).body, std::string(100'000, 'x'));
  EXPECT_EQ(glance.call("GET", data(id), {{"Range", "bytes=10-19"}}).status, 206);
  const auto requests = glance.requests_of(id);
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].status, 200);
  EXPECT_EQ(requests[1].range, "bytes=10-19");
  EXPECT_EQ(glance.sent_bytes(id), 100'010u);

  glance.stop();
  EXPECT_EQ(glance.call("GET", data(id)).status, 0);
  glance.start();
  fs::resize_file(glance.store_file(id), 0);
  glance.deactivate(id);
  EXPECT_EQ(glance.metadata(id)["status"], "deactivated");
  glance.reactivate(id);
  glance.set(id, "os_hidden", true);
  EXPECT_EQ(glance.metadata(id)["os_hidden"], true);
  glance.remove(id);
  EXPECT_EQ(glance.call("GET", "/v2/images/" + id).status, 404);
}

TEST(GlanceServer, HasImagesWhoseStoreKnowsNoRanges) {
  GlanceServer store, glance;
  const std::string source = store.create({.bytes = "0123456789"});
  const std::string id = glance.create_at(store.url() + data(source), 10);
  EXPECT_TRUE(glance.metadata(id)["checksum"].is_null());
  EXPECT_EQ(glance.call("GET", data(id)).body, "0123456789");
  EXPECT_EQ(glance.call("GET", data(id), {{"Range", "bytes=1-2"}}).status, 400);
}

TEST(GlanceServer, TellsUsersApartWithoutKeystone) {
  GlanceServer glance({.auth = GlanceAuth::kFake});
  const std::string id = glance.create({.bytes = "secret", .visibility = "private"});
  EXPECT_EQ(glance.call("GET", data(id), {{"X-Auth-Token", "nonsense"}}).status, 401);
  EXPECT_EQ(glance.call("GET", data(id), {{"X-Auth-Token", "a:other:member"}}).status, 404);
  EXPECT_EQ(glance.call("GET", data(id)).body, "secret");
}

TEST(GlanceServer, CachesWithEitherDriver) {
  for (const char* driver : {"sqlite", "xattr"}) {
    GlanceServer glance({.cache_driver = driver});
    const std::string id = glance.create({.bytes = "some bytes"});
    EXPECT_EQ(glance.call("GET", data(id)).body, "some bytes");
    EXPECT_TRUE(fs::exists(glance.cache_dir() + "/" + id));
    EXPECT_EQ(fs::exists(glance.cache_dir() + "/cache.db"), driver == std::string("sqlite"));
    const std::string other = glance.create({.bytes = "other bytes"});
    EXPECT_EQ(glance.call("PUT", "/v2/queued_images/" + other).status, 200);
    EXPECT_TRUE(fs::exists(glance.cache_dir() + "/queue/" + other));
    for (const char* tool :
         {"glance-cache-prefetcher", "glance-cache-cleaner", "glance-cache-pruner"}) {
      const CommandResult result = glance.cache_tool(tool);
      EXPECT_TRUE(result.ok()) << tool << ": " << result.describe();
    }
    EXPECT_TRUE(fs::exists(glance.cache_dir() + "/" + other));
  }
}

TEST(KeystoneServer, OpensGlanceToItsUsersUntilTheirTokenIsOver) {
  KeystoneServer keystone;
  GlanceServer glance({.keystone = &keystone, .token_cache = std::chrono::seconds(0)});
  const std::string id = glance.create({.bytes = "some bytes"});
  const std::string token = keystone.token(keystone.demo());
  EXPECT_EQ(glance.call("GET", data(id), {{"X-Auth-Token", token}}).body, "some bytes");
  EXPECT_EQ(glance.call("GET", data(id), {{"X-Auth-Token", "nonsense"}}).status, 401);
  keystone.revoke(token);
  EXPECT_EQ(glance.call("GET", data(id), {{"X-Auth-Token", token}}).status, 401);

  const auto& credential = keystone.application_credential();
  const nlohmann::json body = {
      {"auth",
       {{"identity",
         {{"methods", {"application_credential"}},
          {"application_credential", {{"id", credential.id}, {"secret", credential.secret}}}}}}}};
  const nlohmann::json answer = http_ok({.method = "POST",
                                         .url = keystone.auth_url() + "/auth/tokens",
                                         .headers = {{"Content-Type", "application/json"}},
                                         .body = body.dump()})
                                    .json();
  std::string endpoint;
  for (const auto& service : answer["token"]["catalog"])
    if (service["type"] == "image")
      for (const auto& at : service["endpoints"])
        if (at["interface"] == "public" && at["region"] == "RegionOne") endpoint = at["url"];
  EXPECT_EQ(endpoint, glance.url());

  keystone.stop();
  EXPECT_THROW(keystone.token(keystone.demo()), std::runtime_error);
  keystone.start();
  EXPECT_NE(keystone.token(keystone.demo()), "");
}

TEST(RegistryServer, ServesWhatWasPushedAndRecordsWhoAsked) {
  RegistryServer registry;
  const std::string bytes(100'000, 'x'), digest = registry.push_blob("team/vm", bytes);
  EXPECT_EQ(digest, "sha256:" + hex_digest(bytes));
  const std::string path = "/v2/team/vm/blobs/" + digest;
  EXPECT_EQ(registry.requests_of(digest).size(), 0u) << "pushing is no reading";
  EXPECT_EQ(registry.blob("HEAD", "team/vm", digest).headers.at("content-length"), "100000");
  EXPECT_EQ(registry.blob("GET", "team/vm", digest).body, bytes);
  EXPECT_EQ(registry.call("GET", path + "?x=1", {{"Range", "bytes=10-19"}}).status, 206);
  EXPECT_EQ(registry.blob("HEAD", "team/other", digest).status, 404);

  const auto requests = registry.requests_of(digest);
  ASSERT_EQ(requests.size(), 4u);
  EXPECT_EQ(requests[0].method, "HEAD");
  EXPECT_EQ(requests[0].path, path);
  const auto statuses = [&](const std::string& query) {
    std::multiset<int> found;
    for (const RegistryRequest& request : requests)
      if (request.query == query) found.insert(request.status);
    return found;
  };
  EXPECT_EQ(statuses("x=1"), std::multiset<int>{206});
  EXPECT_EQ(statuses(""), (std::multiset<int>{200, 200, 404}));
  EXPECT_EQ(registry.requests_of(digest, "GET").size(), 2u);
  EXPECT_EQ(registry.sent_bytes(digest), 100'010u);

  registry.stop();
  EXPECT_EQ(registry.blob("GET", "team/vm", digest).status, 0);
  registry.start();
  EXPECT_EQ(registry.blob("GET", "team/vm", digest).body, bytes);
  fs::resize_file(registry.blob_file(digest), 10);
  EXPECT_EQ(registry.blob("GET", "team/vm", digest).body, std::string(10, 'x'));
  registry.remove_blob("team/vm", digest);
  EXPECT_EQ(registry.blob("GET", "team/vm", digest).status, 404);
}

TEST(RegistryServer, HasImagesWithTags) {
  RegistryServer registry;
  const std::string digest = registry.push_image(
      "team/vm", "v1", {{.bytes = "some bytes", .title = "disk.raw"}, {.bytes = "more"}});
  registry.tag("team/vm", "v1", "latest");
  const std::string type = "application/vnd.oci.image.manifest.v1+json";
  const HttpReply reply = registry.call("GET", "/v2/team/vm/manifests/latest", {{"Accept", type}});
  EXPECT_EQ(reply.headers.at("content-type"), type);
  EXPECT_EQ(reply.headers.at("docker-content-digest"), digest);
  const auto layer = reply.json()["layers"][0];
  EXPECT_EQ(layer["digest"], "sha256:" + hex_digest("some bytes"));
  EXPECT_EQ(layer["size"], 10);
  EXPECT_EQ(layer["annotations"]["org.opencontainers.image.title"], "disk.raw");
  EXPECT_EQ(registry.call("GET", "/v2/team/vm/tags/list").json()["tags"],
            nlohmann::json({"latest", "v1"}));
  EXPECT_EQ(registry.call("GET", "/v2/_catalog").json()["repositories"],
            nlohmann::json({"team/vm"}));

  const auto index =
      registry.push_manifest("team/vm", "all",
                             {{"schemaVersion", 2},
                              {"mediaType", "application/vnd.oci.image.index.v1+json"},
                              {"manifests", {descriptor(type, digest, reply.body.size())}}});
  EXPECT_EQ(registry.call("GET", "/v2/team/vm/manifests/" + index).status, 404) << "no Accept";
  registry.remove_manifest("team/vm", digest);
  EXPECT_EQ(registry.call("GET", "/v2/team/vm/manifests/v1", {{"Accept", type}}).status, 404);
  const CommandResult tags = run(
      {"skopeo", "list-tags", "--tls-verify=false", "docker://" + registry.address() + "/team/vm"});
  EXPECT_TRUE(tags.ok()) << tags.describe();
}

TEST(RegistryServer, LetsInWhoHasThePassword) {
  RegistryServer registry({.user = "alice", .password = "alicepw"});
  const std::string digest = registry.push_blob("team/vm", "some bytes");
  EXPECT_EQ(registry.blob("GET", "team/vm", digest).body, "some bytes");
  registry.authorize("");
  const HttpReply refused = registry.blob("GET", "team/vm", digest);
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.headers.at("www-authenticate"), "Basic realm=\"basic-realm\"");
  registry.authorize("Basic bm9ib2R5Om5vdGhpbmc=");
  EXPECT_EQ(registry.blob("GET", "team/vm", digest).status, 401);
}

TEST(RegistryServer, SendsToATokenServer) {
  TempDir dir;
  RegistryServer registry({.token = {{.realm = "http://127.0.0.1:1/token",
                                      .service = "a-registry",
                                      .issuer = "an-issuer",
                                      .certificate = make_certificate(dir, "issuer").cert_file}}});
  const HttpReply refused = registry.call("GET", "/v2/team/vm/tags/list");
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.headers.at("www-authenticate"),
            "Bearer realm=\"http://127.0.0.1:1/token\",service=\"a-registry\","
            "scope=\"repository:team/vm:pull\"");
  registry.authorize("Bearer nonsense");
  EXPECT_EQ(registry.call("GET", "/v2/").status, 401);
}

TEST(RegistryServer, RedirectsToWhereItsDataIs) {
  RegistryServer plain;
  const std::string digest = plain.push_blob("team/vm", "some bytes");
  Nginx data(plain.data_dir());
  RegistryServer registry({.redirect = data.url("/")});
  fs::copy(plain.data_dir(), registry.data_dir(), fs::copy_options::recursive);
  for (const char* method : {"GET", "HEAD"}) {
    const HttpReply reply = registry.blob(method, "team/vm", digest);
    EXPECT_EQ(reply.status, 307);
    EXPECT_EQ(http_ok({.url = reply.headers.at("location")}).body, "some bytes");
  }
}

TEST(RegistryServer, CachesBlobDescriptors) {
  RedisServer redis;
  RegistryServer registry({.redis = &redis});
  const std::string digest = registry.push_blob("team/vm", "some bytes");
  EXPECT_EQ(redis.command({"HGET", "blobs::" + digest, "size"}), "10");
  RegistryServer other({.memory_cache = true});
  EXPECT_EQ(other.blob("GET", "team/vm", other.push_blob("team/vm", "bytes")).body, "bytes");
}

TEST(RedisServer, StopsPausesAndGoesOn) {
  RedisServer redis({.password = "secret"});
  redis.command({"SET", "key", "value"});
  EXPECT_EQ(redis.command({"GET", "key"}), "value");
  EXPECT_THROW(redis.command({"HGET", "key", "field"}), std::runtime_error);
  EXPECT_EQ(redis.lines({"KEYS", "*"}), std::vector<std::string>{"key"});
  redis.pause();
  EXPECT_TRUE(answers(redis.port())) << "that is the kernel";
  redis.resume();
  EXPECT_EQ(redis.command({"GET", "key"}), "value");
  redis.stop();
  EXPECT_FALSE(answers(redis.port()));
  redis.start();
  EXPECT_EQ(redis.command({"GET", "key"}), "");
}

}  // namespace
}  // namespace imgcachefs::test
