// What the fixtures promise to the tests that use them: the real servers do what Debian's do.
#include <gtest/gtest.h>

#include <filesystem>

#include "real/glance_server.h"
#include "real/keystone_server.h"

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

}  // namespace
}  // namespace imgcachefs::test
