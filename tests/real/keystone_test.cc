// Access to Glance by the real Keystone, with every kind of credentials we know.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>
#include <thread>

#include "fetch/clouds_yaml.h"
#include "fetch/keystone.h"
#include "real/glance_server.h"
#include "real/keystone_server.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;

// One Keystone and one Glance for the tests that change nothing in them.
class RealKeystone : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    keystone_ = std::make_unique<KeystoneServer>();
    glance_ = std::make_unique<GlanceServer>(
        GlanceOptions{.keystone = keystone_.get(), .token_cache = std::chrono::seconds(0)});
    image_ = glance_->create({.bytes = "some bytes", .visibility = "private"});
  }
  static void TearDownTestSuite() {
    glance_.reset();
    keystone_.reset();
  }

  static Credentials password_of(const KeystoneUser& user) {
    Credentials secrets;
    secrets.set("auth_url", keystone_->auth_url());
    secrets.set("username", user.name);
    secrets.set("password", user.password);
    secrets.set("project_name", user.project);
    return secrets;
  }
  static std::unique_ptr<Authenticator> open(Credentials secrets, std::string interface = "",
                                             std::string region = "") {
    KeystoneConfig config;
    config.secrets = std::move(secrets);
    config.region = std::move(region);
    config.interface_ = std::move(interface);
    auto access = keystone_access(std::move(config));
    if (!access) throw std::runtime_error(access.error().message);
    return std::move(*access);
  }
  // What Glance answers to whom Keystone lets in; -1: it does not.
  static int glance_says(Authenticator& keystone) {
    auto access = keystone.access(Patience::kFull, {});
    EXPECT_TRUE(access) << access.error().message;
    if (!access) return -1;
    EXPECT_EQ(access->endpoint, glance_->url());
    return status_with(*glance_, access->token);
  }
  static int status_with(GlanceServer& glance, const std::string& token) {
    return glance.call("GET", "/v2/images?limit=1", {{"X-Auth-Token", token}}).status;
  }

  static inline std::unique_ptr<KeystoneServer> keystone_;
  static inline std::unique_ptr<GlanceServer> glance_;
  static inline std::string image_;
};

TEST_F(RealKeystone, Password) {
  EXPECT_EQ(glance_says(*open(password_of(keystone_->demo()))), 200);
  Credentials by_id;
  by_id.set("auth_url", keystone_->url() + "/");
  by_id.set("user_id", keystone_->demo().user_id);
  by_id.set("password", keystone_->demo().password);
  by_id.set("project_id", keystone_->demo().project_id);
  EXPECT_EQ(glance_says(*open(by_id)), 200);
  Credentials by_domain_name = password_of(keystone_->demo());
  by_domain_name.set("user_domain_name", "Default");
  by_domain_name.set("project_domain_name", "Default");
  EXPECT_EQ(glance_says(*open(by_domain_name)), 200);
}

TEST_F(RealKeystone, ApplicationCredential) {
  const ApplicationCredential& credential = keystone_->application_credential();
  Credentials by_id;
  by_id.set("auth_url", keystone_->auth_url());
  by_id.set("application_credential_id", credential.id);
  by_id.set("application_credential_secret", credential.secret);
  EXPECT_EQ(glance_says(*open(by_id)), 200);
  Credentials by_name;
  by_name.set("auth_url", keystone_->auth_url());
  by_name.set("application_credential_name", credential.name);
  by_name.set("application_credential_secret", credential.secret);
  by_name.set("username", keystone_->demo().name);
  EXPECT_EQ(glance_says(*open(by_name)), 200);
}

TEST_F(RealKeystone, WhomItDoesNotKnow) {
  for (const char* key :
       {"username", "password", "project_name", "user_domain_id", "project_domain_name"}) {
    Credentials secrets = password_of(keystone_->demo());
    secrets.set(key, "no-such-thing");
    auto access = open(secrets)->access(Patience::kFull, {});
    ASSERT_FALSE(access) << key;
    EXPECT_EQ(access.error().kind, ErrorKind::kDenied) << key << ": " << access.error().message;
  }
  Credentials wrong;
  wrong.set("auth_url", keystone_->auth_url());
  wrong.set("application_credential_id", keystone_->application_credential().id);
  wrong.set("application_credential_secret", "no-such-thing");
  EXPECT_EQ(open(wrong)->access(Patience::kFull, {}).error().kind, ErrorKind::kDenied);
  Credentials elsewhere = password_of(keystone_->demo());
  elsewhere.set("auth_url", glance_->url());
  EXPECT_EQ(open(elsewhere)->access(Patience::kFull, {}).error().kind, ErrorKind::kProtocol);
}

TEST_F(RealKeystone, CatalogueByInterfaceAndRegion) {
  keystone_->set_image_endpoint("internal", "http://inside:9292/v2/");
  auto endpoint = [](const std::string& interface, const std::string& region) {
    auto access = open(password_of(keystone_->demo()), interface, region)->access({}, {});
    return access ? access->endpoint : "error: " + access.error().message;
  };
  EXPECT_EQ(endpoint("", "RegionOne"), glance_->url());
  EXPECT_EQ(endpoint("internalURL", ""), "http://inside:9292");
  EXPECT_NE(endpoint("", "RegionTwo").find("public in RegionOne"), std::string::npos)
      << endpoint("", "RegionTwo");
  keystone_->set_image_endpoint("internal", glance_->url());
}

TEST_F(RealKeystone, CloudsYaml) {
  TempDir dir;
  CloudPlaces places;
  places.clouds = {
      dir.write("clouds.yaml",
                "clouds:\n  lab:\n    auth:\n      auth_url: " + keystone_->auth_url() +
                    "\n      username: demo\n      project_name: " + keystone_->demo().project +
                    "\n      user_domain_name: Default\n"
                    "      project_domain_name: Default\n"
                    "    region_name: RegionOne\n")};
  places.secure = {dir.write(
      "secure.yaml", "clouds: {lab: {auth: {password: " + keystone_->demo().password + "}}}\n")};
  ::chmod(places.secure[0].c_str(), 0600);
  auto cloud = load_cloud("lab", places);
  ASSERT_TRUE(cloud) << cloud.error().message;
  EXPECT_EQ(glance_says(*open(cloud->secrets, cloud->interface_, cloud->region)), 200);
}

TEST_F(RealKeystone, ARevokedTokenIsReplaced) {
  auto keystone = open(password_of(keystone_->demo()));
  const std::string first = keystone->access(Patience::kFull, {})->token;
  keystone_->revoke(first);
  EXPECT_EQ(status_with(*glance_, first), 401);
  keystone->refused(first);
  EXPECT_NE(keystone->access(Patience::kFull, {})->token, first);
  EXPECT_EQ(glance_says(*keystone), 200);
}

TEST(RealKeystoneOfShortTokens, AreRenewedSoThatGlanceNeverSeesAnOldOne) {
  KeystoneServer keystone({.token_ttl = 15s});
  GlanceServer glance({.keystone = &keystone, .token_cache = std::chrono::seconds(0)});
  Credentials secrets;
  secrets.set("auth_url", keystone.auth_url());
  secrets.set("username", keystone.demo().name);
  secrets.set("password", keystone.demo().password);
  secrets.set("project_name", keystone.demo().project);
  KeystoneConfig config;
  config.secrets = std::move(secrets);
  config.endpoint = glance.url();
  auto access = keystone_access(std::move(config));
  ASSERT_TRUE(access) << access.error().message;

  std::set<std::string> tokens;
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (std::chrono::steady_clock::now() < end) {
    auto now = (*access)->access(Patience::kFull, {});
    ASSERT_TRUE(now) << now.error().message;
    EXPECT_EQ(now->endpoint, glance.url());
    tokens.insert(now->token);
    EXPECT_EQ(glance.call("GET", "/v2/images?limit=1", {{"X-Auth-Token", now->token}}).status, 200);
    std::this_thread::sleep_for(200ms);
  }
  EXPECT_GE(tokens.size(), 2u);
  EXPECT_LE(tokens.size(), 3u);
}

}  // namespace
}  // namespace imgcachefs::test
