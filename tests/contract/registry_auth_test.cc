// Logging in to a registry by tokens, with a token server on good and on bad days.
#include "fetch/registry_auth.h"

#include <future>

#include "contract/registry_fixture.h"

namespace imgcachefs {
namespace {

using namespace test;
using Clock = std::chrono::steady_clock;
using RegistryTokens = RegistryLoginTest;

TEST_F(RegistryTokens, NothingIsSentBeforeA401SaysWhatIsWanted) {
  auto auth = open(config("alice"));
  EXPECT_EQ(auth->authorization(kPull, Patience::kFull, {}).value(), "");
  EXPECT_EQ(tokens_.count(), 0u);
  EXPECT_TRUE(get(*auth));
  EXPECT_EQ(sent(), (Strings{"", "Bearer token-1"}));
  ASSERT_EQ(tokens_.requests().size(), 1u);
  const TokenRequest request = tokens_.requests()[0];
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.user, "alice");
  EXPECT_EQ(request.scopes, Strings{kPull});
  EXPECT_EQ(request.asked,
            (std::map<std::string, std::string>{{"service", "my-registry"}, {"account", "alice"}}));
  EXPECT_TRUE(get(*auth));
  EXPECT_EQ(tokens_.count(), 1u);
}

TEST_F(RegistryTokens, AnonymousWithoutALogin) {
  auto auth = open();
  EXPECT_TRUE(get(*auth));
  EXPECT_EQ(tokens_.requests()[0].user, "");
  EXPECT_EQ(tokens_.requests()[0].asked.count("account"), 0u);
  EXPECT_EQ(tokens_.server().requests()[0].header("authorization"), "");
}

TEST_F(RegistryTokens, OneForEachScopeAndNo401ForTheLaterOnes) {
  auto auth = open(config("alice"));
  EXPECT_TRUE(get(*auth));
  EXPECT_TRUE(get(*auth, kPrivate));
  EXPECT_TRUE(get(*auth, "registry:catalog:*"));
  EXPECT_TRUE(get(*auth, ""));
  EXPECT_TRUE(get(*auth, kPrivate));
  EXPECT_EQ(sent(), (Strings{"", "Bearer token-1", "Bearer token-2", "Bearer token-3",
                             "Bearer token-4", "Bearer token-2"}));
  EXPECT_EQ(tokens_.requests()[1].scopes, Strings{kPrivate});
  EXPECT_EQ(tokens_.requests()[2].scopes, Strings{"registry:catalog:*"});
  EXPECT_EQ(tokens_.requests()[3].scopes, Strings{});
}

TEST_F(RegistryTokens, TheScopeIsTheOneTheRegistryNames) {
  const std::string real = "repository:proxied/team/vm:pull repository:proxied/base:pull";
  says_ = [&](const std::string&, const std::string& sent) -> std::optional<std::string> {
    if (sent == "Bearer token-2") return std::nullopt;
    return tokens_.challenge(real, sent.empty() ? "" : "insufficient_scope");
  };
  auto auth = open();
  EXPECT_TRUE(auth->refused("", "", says_no(tokens_.challenge())));
  EXPECT_TRUE(get(*auth));
  EXPECT_EQ(tokens_.requests()[0].scopes, Strings{kPull});
  EXPECT_EQ(tokens_.requests()[1].scopes,
            (Strings{"repository:proxied/team/vm:pull", "repository:proxied/base:pull"}));
  EXPECT_EQ(tokens_.count(), 2u);
}

TEST_F(RegistryTokens, ACrowdNeedsOneToken) {
  auto auth = open();
  tokens_.server().fault({.stall_before_head = true, .status = 503}, TokenServer::any());
  std::jthread release([&](std::stop_token stop) {
    while (!stop.stop_requested()) {
      std::this_thread::sleep_for(300ms);  // long enough for all to come
      tokens_.server().release();
    }
  });
  crowd([&] { EXPECT_TRUE(get(*auth)); });
  EXPECT_EQ(tokens_.count(), 2u);  // one that failed, and was tried again
  EXPECT_EQ(tokens_.requests().size(), 1u);
}

TEST_F(RegistryTokens, IsRenewedBeforeItExpires) {
  tokens_.life(2000ms);  // renewed when a quarter is left
  auto auth = open();
  EXPECT_TRUE(get(*auth));
  const auto began = Clock::now();
  while (tokens_.count() == 1 && Clock::now() < began + 20s) {
    std::this_thread::sleep_for(10ms);
    EXPECT_TRUE(get(*auth));
  }
  EXPECT_GE(Clock::now() - began, 1400ms);
  EXPECT_EQ(sent().back(), "Bearer token-2");
  EXPECT_EQ(tokens_.count(), 2u);
}

TEST_F(RegistryTokens, OthersGoOnWithTheOldOneWhileItIsRenewed) {
  tokens_.life(8000ms);
  auto auth = open();
  EXPECT_TRUE(get(*auth));
  tokens_.server().fault({.stall_before_head = true, .status = 503}, TokenServer::any(), 0);
  std::this_thread::sleep_for(6100ms);  // a quarter of its life is left: two seconds
  auto renews = std::async(std::launch::async,
                           [&] { return auth->authorization(kPull, Patience::kFull, {}).value(); });
  ASSERT_TRUE(tokens_.server().wait_for(TokenServer::any(), 2, 10s));
  EXPECT_EQ(auth->authorization(kPull, Patience::kFull, {}).value(), "Bearer token-1");
  EXPECT_EQ(tokens_.count(), 2u);
  tokens_.honest();
  while (renews.wait_for(10ms) != std::future_status::ready) tokens_.server().release();
  // It was a failure, and there is one that holds; or it was asked once more, and answered.
  const std::string shown = renews.get();
  EXPECT_TRUE(shown == "Bearer token-1" || shown == "Bearer token-2") << shown;
}

TEST_F(RegistryTokens, HoldsTheOldOneWhileTheTokenServerIsDown) {
  tokens_.life(8000ms);
  auto auth = open();
  EXPECT_TRUE(get(*auth));
  tokens_.server().fault(Behaviour::of_status(503), TokenServer::any(), 0);
  LogCapture log;
  std::this_thread::sleep_for(6100ms);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(auth->authorization(kPull, Patience::kFull, {}).value(), "Bearer token-1");
  EXPECT_LE(tokens_.count(), 5u);  // now and then, and not by everyone
  EXPECT_GE(tokens_.count(), 2u);
  EXPECT_HAS(log.text(), "the token held is good for");
  std::this_thread::sleep_for(1900ms);
  EXPECT_KIND(get(*auth), ErrorKind::kUnavailable);  // now it is over
  tokens_.honest();
  EXPECT_TRUE(get(*auth));
}

TEST_F(RegistryTokens, AnExpiredOneIsReplacedOnceForAll) {
  tokens_.life(300ms);
  auto auth = open();
  EXPECT_TRUE(auth->refused(kPull, "", says_no(tokens_.challenge())));
  EXPECT_EQ(auth->authorization(kPull, Patience::kFull, {}).value(), "Bearer token-1");
  std::this_thread::sleep_for(400ms);
  tokens_.life(1h);
  crowd([&] { EXPECT_TRUE(get(*auth)); });
  EXPECT_EQ(tokens_.count(), 2u);
}

TEST_F(RegistryTokens, ARefusedOneIsReplacedOnceForAll) {
  auto auth = open();
  EXPECT_TRUE(get(*auth));
  tokens_.revoke_all();
  crowd([&] { EXPECT_TRUE(get(*auth)); });
  EXPECT_EQ(tokens_.count(), 2u);
  // Somebody slow.
  EXPECT_TRUE(
      auth->refused(kPull, "Bearer token-1", says_no(tokens_.challenge(kPull, "invalid_token"))));
  EXPECT_TRUE(get(*auth));
  EXPECT_EQ(tokens_.count(), 2u);
}

TEST_F(RegistryTokens, ARegistryThatRefusesThemAllDoesNotMakeUsAskForEver) {
  says_ = [&](const std::string& scope, const std::string& sent) -> std::optional<std::string> {
    return tokens_.challenge(scope, sent.empty() ? "" : "invalid_token");
  };
  auto auth = open();
  for (int i = 0; i < 50; ++i) EXPECT_KIND(get(*auth), ErrorKind::kDenied);
  EXPECT_EQ(tokens_.count(), 2u);
  crowd([&] { EXPECT_KIND(get(*auth), ErrorKind::kDenied); });
  EXPECT_EQ(tokens_.count(), 2u);
  EXPECT_HAS(message(get(*auth)), kPull);
}

TEST_F(RegistryTokens, ARegistryThatSaysNothingButNoDoesNotEither) {
  says_ = [&](const std::string& scope, const std::string& sent) -> std::optional<std::string> {
    return sent.empty() ? tokens_.challenge(scope) : "";
  };
  auto auth = open();
  for (int i = 0; i < 20; ++i) EXPECT_KIND(get(*auth), ErrorKind::kDenied);
  EXPECT_EQ(tokens_.count(), 2u);
}

TEST_F(RegistryTokens, ARegistryThatCannotMakeUpItsMindDoesNotEither) {
  says_ = [&](const std::string& scope, const std::string& sent) -> std::optional<std::string> {
    return sent.starts_with("Bearer") ? "Basic realm=x" : tokens_.challenge(scope);
  };
  auto auth = open(config("alice"));
  for (int i = 0; i < 20; ++i) EXPECT_KIND(get(*auth), ErrorKind::kDenied);
  EXPECT_LE(tokens_.count(), 2u);
}

TEST_F(RegistryTokens, InsufficientScopeOfAFreshTokenIsANo) {
  auto auth = open();
  for (int i = 0; i < 20; ++i) {
    const Status status = get(*auth, kPrivate);
    EXPECT_KIND(status, ErrorKind::kDenied);
    EXPECT_HAS(message(status), "'repository:private/vm:pull', which was given without a login,");
  }
  EXPECT_EQ(tokens_.count(), 1u);
  EXPECT_TRUE(get(*auth));  // of another repository it says nothing
}

TEST_F(RegistryTokens, InsufficientScopeOfAnOlderTokenMayHaveChanged) {
  std::atomic<bool> may{false};
  TokenServer tokens(
      {.life = 4000ms, .may = [&](const auto&, const auto&, const auto&) { return may.load(); }});
  says_ = [&](const std::string& scope, const std::string& sent) -> std::optional<std::string> {
    if (tokens.allows(sent, scope)) return std::nullopt;
    return tokens.challenge(scope, sent.empty() ? "" : "insufficient_scope");
  };
  auto auth = open();
  EXPECT_KIND(get(*auth), ErrorKind::kDenied);
  may = true;
  const size_t before = tokens.count();
  std::this_thread::sleep_for(1100ms);  // a quarter of its life: fresh no more
  EXPECT_TRUE(get(*auth));
  EXPECT_EQ(tokens.count(), before + 1);
}

}  // namespace
}  // namespace imgcachefs
