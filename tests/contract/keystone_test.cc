// Access by a token of Keystone's, against a server that plays Keystone on good and on bad days.
#include "fetch/keystone.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "contract/upstream_fixture.h"
#include "support/crowd.h"
#include "support/log_capture.h"

namespace imgcachefs {
namespace {

using namespace test;
using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr char kTokens[] = "/v3/auth/tokens";
constexpr char kPassword[] = "hunter2-s3cret";

class Keystone : public ::testing::Test {
 protected:
  Keystone() {
    server_.on_request([this](const Request&) { return answer(); });
  }

  // A new token each time: "token-1" and so on. The clock of this Keystone is years behind.
  Behaviour answer() {
    const int number = ++given_;
    const auto life = std::chrono::milliseconds(life_.load());
    json token = {{"issued_at", "2019-03-01T00:00:00.000000Z"},
                  {"expires_at", time_after(life)},
                  {"project", {{"id", "p1"}, {"name", "lab"}}},
                  {"catalog",
                   {{{"type", "image"},
                     {"endpoints",
                      {{{"interface", "public"},
                        {"region", "One"},
                        {"region_id", "One"},
                        {"url", "http://glance-one:9292/v2/"}},
                       {{"interface", "internal"},
                        {"region", "Two"},
                        {"region_id", "Two"},
                        {"url", "http://glance-two:9292"}}}}}}}};
    for (const char* key : {"project", "catalog"})
      if (without_ == key) token.erase(key);
    Behaviour how = Behaviour::of_status(201);
    how.body = json{{"token", token}}.dump();
    how.headers = {{"X-Subject-Token", "token-" + std::to_string(number)}};
    return how;
  }

  static std::string time_after(std::chrono::milliseconds life) {
    const auto ms = life.count();
    char text[64];
    std::snprintf(text, sizeof text, "2019-03-01T%02d:%02d:%02d.%03d000Z",
                  static_cast<int>(ms / 3600000), static_cast<int>(ms / 60000 % 60),
                  static_cast<int>(ms / 1000 % 60), static_cast<int>(ms % 1000));
    return text;
  }

  KeystoneConfig config() {
    KeystoneConfig config;
    config.secrets.set("auth_url", server_.url("/v3"));
    config.secrets.set("username", "demo");
    config.secrets.set("password", kPassword);
    config.secrets.set("project_name", "lab");
    config.http = quick_config();
    return config;
  }
  std::unique_ptr<Authenticator> open() { return open(config()); }
  static std::unique_ptr<Authenticator> open(KeystoneConfig config) {
    auto access = keystone_access(std::move(config));
    if (!access) throw std::runtime_error(access.error().message);
    return std::move(*access);
  }
  static Result<ServiceAccess> try_access(Authenticator& keystone,
                                          Patience patience = Patience::kFull,
                                          std::stop_token stop = {}) {
    return keystone.access(patience, stop);
  }
  static std::string token_of(Authenticator& keystone) {
    auto access = try_access(keystone);
    return access ? access->token : "error: " + access.error().message;
  }
  size_t posts() const { return server_.count({.method = "POST", .path = kTokens}); }

  FaultServer server_;
  std::atomic<int> given_{0};
  std::atomic<int64_t> life_{3600'000};  // milliseconds
  std::string without_;
};

TEST_F(Keystone, ATokenAndWhereGlanceIs) {
  auto keystone = open();
  EXPECT_EQ(server_.count({}), 0u);  // nothing is asked before it is needed
  auto access = try_access(*keystone);
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->token, "token-1");
  EXPECT_EQ(access->endpoint, "http://glance-one:9292");
  EXPECT_EQ(token_of(*keystone), "token-1");
  ASSERT_EQ(server_.count({}), 1u);
  const Request request = server_.requests()[0];
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.target, kTokens);
  EXPECT_EQ(request.header("content-type"), "application/json");
  EXPECT_EQ(request.header("authorization"), "");
  EXPECT_EQ(json::parse(request.body), json::parse(R"({"auth": {
              "identity": {"methods": ["password"], "password": {"user": {
                "name": "demo", "domain": {"id": "default"}, "password": "hunter2-s3cret"}}},
              "scope": {"project": {"name": "lab", "domain": {"id": "default"}}}}})"));
}

TEST_F(Keystone, ApplicationCredential) {
  KeystoneConfig with;
  with.secrets.set("auth_url", server_.url());
  with.secrets.set("application_credential_id", "a1");
  with.secrets.set("application_credential_secret", kPassword);
  with.http = quick_config();
  EXPECT_EQ(token_of(*open(with)), "token-1");
  EXPECT_EQ(json::parse(server_.requests()[0].body), json::parse(R"({"auth": {"identity": {
      "methods": ["application_credential"],
      "application_credential": {"id": "a1", "secret": "hunter2-s3cret"}}}})"));
}

TEST_F(Keystone, AFixedEndpointNeedsNoCatalogue) {
  without_ = "catalog";
  auto with = config();
  with.endpoint = "http://glance:9292";
  auto access = try_access(*open(with));
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->endpoint, "http://glance:9292");
  EXPECT_EQ(server_.requests()[0].target, std::string(kTokens) + "?nocatalog");
}

TEST_F(Keystone, EndpointByRegionAndInterface) {
  auto with = config();
  with.region = "Two";
  with.interface_ = "internalURL";
  EXPECT_EQ(try_access(*open(with))->endpoint, "http://glance-two:9292");
  with.interface_ = "admin";
  auto none = open(with);
  auto access = try_access(*none);
  EXPECT_KIND(access, ErrorKind::kUnavailable);
  EXPECT_NE(access.error().message.find("it has: public in One, internal in Two"),
            std::string::npos)
      << access.error().message;
  const size_t before = posts();
  EXPECT_KIND(try_access(*none), ErrorKind::kUnavailable);
  EXPECT_EQ(posts(), before);  // it will not be there the next moment
  without_ = "catalog";
  EXPECT_KIND(try_access(*open(config())), ErrorKind::kUnavailable);
}

TEST_F(Keystone, WhatCannotWorkIsSaidAtOnce) {
  auto refused = [](KeystoneConfig with) {
    auto access = keystone_access(std::move(with));
    EXPECT_KIND(access, ErrorKind::kInvalid);
    return access ? "" : access.error().message;
  };
  auto with = config();
  with.secrets.set("password", "");
  EXPECT_NE(refused(with).find("password"), std::string::npos);
  with = config();
  with.interface_ = "pubic";
  EXPECT_NE(refused(with).find("interface 'pubic'"), std::string::npos);
  with = config();
  with.http.ca_file = "/does/not/exist";
  EXPECT_NE(refused(with).find("ca_file"), std::string::npos);
  EXPECT_EQ(server_.count({}), 0u);
}

TEST_F(Keystone, ACrowdNeedsOneToken) {
  auto keystone = open();
  Behaviour late = answer();
  late.stall_before_head = true;  // long enough for all to come
  server_.fault(late);
  std::jthread release([&](std::stop_token stop) {
    while (!stop.stop_requested()) {
      std::this_thread::sleep_for(300ms);
      server_.release();
    }
  });
  crowd([&] { EXPECT_EQ(token_of(*keystone), "token-1"); });
  EXPECT_EQ(posts(), 1u);
}

TEST_F(Keystone, IsRenewedBeforeItExpires) {
  life_ = 4000;  // renewed when a quarter is left
  auto keystone = open();
  const auto began = Clock::now();
  EXPECT_EQ(token_of(*keystone), "token-1");
  std::string token = "token-1";
  while (token == "token-1" && Clock::now() < began + 10s) {
    std::this_thread::sleep_for(20ms);
    token = token_of(*keystone);
  }
  EXPECT_EQ(token, "token-2");
  EXPECT_GE(Clock::now() - began, 2900ms);
  EXPECT_EQ(posts(), 2u);
}

TEST_F(Keystone, OthersGoOnWithTheOldOneWhileItIsRenewed) {
  life_ = 8000;
  auto keystone = open();
  EXPECT_EQ(token_of(*keystone), "token-1");
  std::this_thread::sleep_for(6100ms);  // a quarter of its life is left: two seconds
  Behaviour late = answer();
  late.stall_before_head = true;
  server_.fault(late);
  auto renews = std::async(std::launch::async, [&] { return token_of(*keystone); });
  ASSERT_TRUE(server_.wait_for({.path = kTokens}, 2, 10s));
  EXPECT_EQ(token_of(*keystone), "token-1");
  EXPECT_EQ(posts(), 2u);
  // Again and again: the answer may not yet have come to where it stalls.
  while (renews.wait_for(10ms) != std::future_status::ready) server_.release();
  EXPECT_EQ(renews.get(), "token-2");
  EXPECT_EQ(token_of(*keystone), "token-2");
}

TEST_F(Keystone, AnExpiredOneIsReplacedOnceForAll) {
  life_ = 300;
  auto keystone = open();
  EXPECT_EQ(token_of(*keystone), "token-1");
  std::this_thread::sleep_for(400ms);
  life_ = 3600'000;
  crowd([&] { EXPECT_EQ(token_of(*keystone), "token-2"); });
  EXPECT_EQ(posts(), 2u);
}

TEST_F(Keystone, HoldsTheOldOneWhileKeystoneIsDown) {
  life_ = 8000;
  auto keystone = open();
  EXPECT_EQ(token_of(*keystone), "token-1");
  server_.fault(Behaviour::of_status(503), {}, 0);
  LogCapture log;
  std::this_thread::sleep_for(6100ms);  // a quarter of its life is left: two seconds
  for (int i = 0; i < 100; ++i) EXPECT_EQ(token_of(*keystone), "token-1");
  EXPECT_LE(posts(), 5u);  // now and then, and not by everyone
  EXPECT_GE(posts(), 2u);
  EXPECT_NE(log.text().find("the token held is good for"), std::string::npos) << log.text();
  std::this_thread::sleep_for(1900ms);
  EXPECT_KIND(try_access(*keystone), ErrorKind::kUnavailable);  // now it is over
  server_.clear_faults();
  server_.on_request([this](const Request&) { return answer(); });
  EXPECT_EQ(token_of(*keystone), "token-2");
}

TEST_F(Keystone, ARefusedTokenIsReplacedOnceForAll) {
  auto keystone = open();
  EXPECT_EQ(token_of(*keystone), "token-1");
  crowd([&] {
    keystone->refused("token-1");
    EXPECT_EQ(token_of(*keystone), "token-2");
  });
  keystone->refused("token-1");  // somebody slow
  keystone->refused("");
  EXPECT_EQ(token_of(*keystone), "token-2");
  EXPECT_EQ(posts(), 2u);
}

TEST_F(Keystone, AGlanceThatRefusesThemAllDoesNotMakeUsAskForEver) {
  auto keystone = open();
  for (int i = 0; i < 50; ++i)
    if (auto access = try_access(*keystone))
      keystone->refused(access->token);
    else
      EXPECT_EQ(access.error().kind, ErrorKind::kDenied) << access.error().message;
  EXPECT_EQ(posts(), 2u);
}

TEST_F(Keystone, AWrongPasswordIsNotTriedAgainAndAgain) {
  Behaviour wrong = Behaviour::of_status(401);
  wrong.body = R"({"error":{"code":401,"title":"Unauthorized"}})";
  server_.fault(wrong, {}, 0);
  auto keystone = open();
  crowd([&] { EXPECT_KIND(try_access(*keystone), ErrorKind::kDenied); });
  auto again = try_access(*keystone);
  EXPECT_KIND(again, ErrorKind::kDenied);
  EXPECT_NE(again.error().message.find("user 'demo'"), std::string::npos) << again.error().message;
  EXPECT_EQ(posts(), 1u);
}

TEST_F(Keystone, ATokenWithoutAProjectIsARefusal) {
  without_ = "project";
  auto access = try_access(*open());
  EXPECT_KIND(access, ErrorKind::kDenied);
  EXPECT_NE(access.error().message.find("project"), std::string::npos) << access.error().message;
}

TEST_F(Keystone, IsRetriedAsOtherServersAre) {
  server_.fault(Behaviour::of_status(503), {}, 2);
  EXPECT_EQ(token_of(*open()), "token-1");
  EXPECT_EQ(posts(), 3u);
  server_.fault({.reset_before_head = true}, {}, 1);
  EXPECT_EQ(token_of(*open()), "token-2");
}

TEST_F(Keystone, OneTryIsOneTryAndShort) {
  server_.fault(Behaviour::of_status(503), {}, 1);
  auto keystone = open();
  EXPECT_KIND(try_access(*keystone, Patience::kOneTry), ErrorKind::kUnavailable);
  EXPECT_EQ(posts(), 1u);
  server_.fault({.stall_before_head = true}, {}, 1);
  const auto began = Clock::now();
  EXPECT_KIND(try_access(*keystone, Patience::kOneTry), ErrorKind::kTimeout);
  EXPECT_LT(Clock::now() - began, 20s);  // and not the 30 of low_speed_time
}

TEST_F(Keystone, OneWhoIsCancelledFailsNobodyElse) {
  server_.fault({.stall_before_head = true}, {}, 1);
  auto keystone = open();
  std::stop_source stop;
  auto leaves = std::async(
      std::launch::async, [&] { return try_access(*keystone, Patience::kFull, stop.get_token()); });
  ASSERT_TRUE(server_.wait_for({.path = kTokens}, 1, 10s));
  auto stays = std::async(std::launch::async, [&] { return token_of(*keystone); });
  std::this_thread::sleep_for(200ms);
  stop.request_stop();
  EXPECT_KIND(leaves.get(), ErrorKind::kCancelled);
  EXPECT_EQ(stays.get(), "token-1");
  EXPECT_EQ(posts(), 2u);
}

TEST_F(Keystone, ThePasswordIsNotSentOnByARedirect) {
  FaultServer other;
  for (int status : {301, 302, 307, 308}) {
    Behaviour away;
    away.status = status;
    away.redirect = other.url(kTokens);
    server_.fault(away, {}, 1);
    auto access = try_access(*open());
    EXPECT_KIND(access, ErrorKind::kProtocol);
    EXPECT_NE(access.error().message.find("redirect refused"), std::string::npos);
  }
  EXPECT_EQ(other.count({}), 0u);
}

TEST_F(Keystone, OddAnswersAreErrorsOfTheirKind) {
  const std::pair<int, ErrorKind> kCases[] = {
      {300, ErrorKind::kProtocol}, {400, ErrorKind::kProtocol}, {401, ErrorKind::kDenied},
      {403, ErrorKind::kDenied},   {404, ErrorKind::kProtocol}, {410, ErrorKind::kProtocol},
      {413, ErrorKind::kProtocol}, {204, ErrorKind::kProtocol}, {501, ErrorKind::kUnavailable}};
  for (const auto& [status, kind] : kCases) {
    server_.fault(Behaviour::of_status(status), {}, 1);
    SCOPED_TRACE(status);
    EXPECT_KIND(try_access(*open()), kind);
  }
  Behaviour html = Behaviour::of_status(200);
  html.body = "<html>login</html>";
  server_.fault(html, {}, 1);
  EXPECT_KIND(try_access(*open()), ErrorKind::kProtocol);
  Behaviour huge = Behaviour::of_status(201);
  huge.body = std::string(5 << 20, '[');
  server_.fault(huge, {}, 1);
  EXPECT_KIND(try_access(*open()), ErrorKind::kProtocol);
  Behaviour nobody = answer();
  nobody.headers.clear();
  server_.fault(nobody, {}, 1);
  EXPECT_KIND(try_access(*open()), ErrorKind::kProtocol);
}

TEST_F(Keystone, NoSecretInLogsOrErrors) {
  LogCapture log;
  std::string errors;
  auto fails = [&](Behaviour how, unsigned times = 1) {
    how.body += json{{"echo", kPassword}}.dump();  // a server that repeats what it was told
    server_.fault(how, {}, times);
    auto access = try_access(*open());
    EXPECT_FALSE(access);
    if (!access) errors += access.error().message + "\n";
    server_.clear_faults();
    server_.on_request([this](const Request&) { return answer(); });
  };
  for (int status : {200, 300, 400, 401, 404, 500}) fails(Behaviour::of_status(status), 0);
  Behaviour away;
  away.redirect = "http://127.0.0.1:1/?password=" + std::string(kPassword);
  fails(away);
  life_ = 1000;
  auto keystone = open();
  EXPECT_TRUE(try_access(*keystone));
  server_.fault(Behaviour::of_status(503), {}, 0);
  std::this_thread::sleep_for(800ms);
  try_access(*keystone);
  keystone->refused("token-" + std::to_string(given_));
  if (auto access = try_access(*keystone); !access) errors += access.error().message;

  EXPECT_NE(errors, "");
  EXPECT_NE(log.text().find("a token for user 'demo'"), std::string::npos) << log.text();
  for (const std::string& text : {errors, log.text()})
    for (const char* secret : {kPassword, "token-"})
      EXPECT_EQ(text.find(secret), std::string::npos) << text;
}

}  // namespace
}  // namespace imgcachefs
