// Token servers on bad days, wrong logins, and where a login must not go.
#include <fmt/format.h>

#include <future>

#include "contract/registry_fixture.h"
#include "fetch/registry_auth.h"
#include "support/certificate.h"

namespace imgcachefs {
namespace {

using namespace test;
using Clock = std::chrono::steady_clock;
using RegistryTokenFaults = RegistryLoginTest;

TEST_F(RegistryTokenFaults, AWrongPasswordIsNotTriedAgainAndAgain) {
  auto auth = open(config("alice", "wrong-s3cret"));
  crowd([&] { EXPECT_KIND(get(*auth), ErrorKind::kDenied); });
  EXPECT_EQ(tokens_.count(), 1u);
  // Neither for this one nor for another.
  EXPECT_HAS(message(get(*auth)), "does not let us in with the login of the credentials file");
  EXPECT_KIND(get(*auth, kPrivate), ErrorKind::kDenied);
  EXPECT_EQ(tokens_.count(), 1u);
}

TEST_F(RegistryTokenFaults, ALoginThatWasGoodIsNotGivenUpForOneScope) {
  auto auth = open(config("alice"));
  EXPECT_TRUE(get(*auth));
  tokens_.server().fault(Behaviour::of_status(401), TokenServer::any());
  EXPECT_KIND(get(*auth, kPrivate), ErrorKind::kDenied);
  EXPECT_KIND(get(*auth, kPrivate), ErrorKind::kDenied);
  EXPECT_EQ(tokens_.count(), 2u);
  EXPECT_TRUE(get(*auth, "repository:other:pull"));
  // But when it is refused for all that is asked, it is not good any more.
  tokens_.users({{"alice", "changed"}});
  const size_t before = tokens_.count();
  for (int i = 0; i < 10; ++i)
    EXPECT_KIND(get(*auth, fmt::format("repository:r{}:pull", i)), ErrorKind::kDenied);
  EXPECT_EQ(tokens_.count(), before + 3);
  EXPECT_TRUE(get(*auth));  // what we have holds
}

TEST_F(RegistryTokenFaults, ForbiddenIsForTheScope) {
  tokens_.server().fault(Behaviour::of_status(403), TokenServer::any());
  auto auth = open(config("alice"));
  for (int i = 0; i < 5; ++i) {
    const Status status = get(*auth, kPrivate);
    EXPECT_KIND(status, ErrorKind::kDenied);
    EXPECT_HAS(message(status), "no token for 'repository:private/vm:pull'");
  }
  EXPECT_EQ(tokens_.count(), 1u);
  EXPECT_TRUE(get(*auth));
}

TEST_F(RegistryTokenFaults, TheTokenServerIsRetriedAsOtherServersAre) {
  tokens_.server().fault(Behaviour::of_status(503), TokenServer::any(), 2);
  EXPECT_TRUE(get(*open()));
  EXPECT_EQ(tokens_.count(), 3u);
  tokens_.server().fault({.reset_before_head = true}, TokenServer::any());
  EXPECT_TRUE(get(*open()));
}

TEST_F(RegistryTokenFaults, OneTryIsOneTryAndShort) {
  tokens_.server().fault(Behaviour::of_status(503), TokenServer::any());
  auto auth = open();
  EXPECT_KIND(get(*auth, kPull, Patience::kOneTry), ErrorKind::kUnavailable);
  EXPECT_EQ(tokens_.count(), 1u);
  tokens_.server().fault({.stall_before_head = true}, TokenServer::any());
  const auto began = Clock::now();
  EXPECT_KIND(get(*auth, kPull, Patience::kOneTry), ErrorKind::kTimeout);
  EXPECT_LT(Clock::now() - began, 20s);  // and not the 30 of low_speed_time
}

TEST_F(RegistryTokenFaults, OneWhoIsCancelledFailsNobodyElse) {
  tokens_.server().fault({.stall_before_head = true}, TokenServer::any());
  auto auth = open();
  std::stop_source stop;
  auto leaves = std::async(std::launch::async,
                           [&] { return get(*auth, kPull, Patience::kFull, stop.get_token()); });
  ASSERT_TRUE(tokens_.server().wait_for(TokenServer::any(), 1, 10s));
  auto stays = std::async(std::launch::async, [&] { return get(*auth); });
  std::this_thread::sleep_for(200ms);
  stop.request_stop();
  EXPECT_KIND(leaves.get(), ErrorKind::kCancelled);
  EXPECT_TRUE(stays.get());
  EXPECT_EQ(tokens_.count(), 2u);
}

TEST_F(RegistryTokenFaults, OddAnswersAreErrorsOfTheirKind) {
  const std::pair<int, ErrorKind> kCases[] = {
      {300, ErrorKind::kProtocol}, {400, ErrorKind::kProtocol}, {401, ErrorKind::kDenied},
      {403, ErrorKind::kDenied},   {404, ErrorKind::kProtocol}, {405, ErrorKind::kProtocol},
      {410, ErrorKind::kProtocol}, {204, ErrorKind::kProtocol}, {501, ErrorKind::kUnavailable}};
  for (const auto& [status, kind] : kCases) {
    tokens_.server().fault(Behaviour::of_status(status), TokenServer::any());
    SCOPED_TRACE(status);
    EXPECT_KIND(get(*open()), kind);
  }
  for (const std::string& body : {std::string("<html>login</html>"), std::string(2 << 20, '['),
                                  std::string("{}"), std::string(R"({"token":"a\r\nb"})")}) {
    Behaviour nonsense = Behaviour::of_status(200);
    nonsense.body = body;
    tokens_.server().fault(nonsense, TokenServer::any());
    EXPECT_KIND(get(*open()), ErrorKind::kProtocol);
  }
}

TEST_F(RegistryTokenFaults, ARealmThatIsNone) {
  says_ = [](const std::string&, const std::string&) { return "Bearer realm=\"registry\""; };
  const Status status = get(*open(config("alice")));
  EXPECT_KIND(status, ErrorKind::kDenied);
  EXPECT_HAS(message(status), "names no token server");
}

TEST_F(RegistryTokenFaults, ARegistryWithTlsSendsNoLoginInTheClear) {
  for (const char* host : {"https://registry.example", "https://127.0.0.1:5000"}) {
    auto with = config("alice");
    with.registry = url_ = host;
    auto auth = open(with);
    const Status status = get(*auth);
    EXPECT_KIND(status, ErrorKind::kDenied);
    EXPECT_HAS(message(status), "without encryption");
    EXPECT_HAS(message(status), tokens_.realm());
    EXPECT_EQ(tokens_.count(), 0u);

    with = docker_config(
        fmt::format(R"({{"auths": {{"{}": {{"identitytoken": "{}"}}}}}})", host, kAlicesIdentity));
    with.registry = host;
    EXPECT_KIND(get(*open(with)), ErrorKind::kDenied);
    EXPECT_EQ(tokens_.count(), 0u);
  }
  // Who has nothing to lose may ask.
  auto with = config();
  with.registry = url_ = "https://registry.example";
  EXPECT_TRUE(get(*open(with)));
}

TEST_F(RegistryTokenFaults, ATokenServerWithTlsGetsTheLogin) {
  const Certificate certificate = make_certificate(dir_, "server");
  TokenServer secure(
      {.users = {{"alice", kAlicesPassword}},
       .http = {.cert_file = certificate.cert_file, .key_file = certificate.key_file}});
  says_ = [&](const std::string& scope, const std::string& sent) -> std::optional<std::string> {
    if (secure.allows(sent, scope)) return std::nullopt;
    return secure.challenge(scope);
  };
  auto with = config("alice");
  with.registry = url_ = "https://registry.example";
  EXPECT_KIND(get(*open(with), kPrivate), ErrorKind::kUnavailable);  // a certificate of nobody's
  EXPECT_EQ(secure.count(), 0u);
  with.http.ca_file = certificate.cert_file;
  EXPECT_TRUE(get(*open(with), kPrivate));
}

TEST_F(RegistryTokenFaults, TheLoginIsNotSentOnByARedirect) {
  FaultServer other;
  Behaviour away;
  away.redirect = other.url("/token");
  for (int status : {301, 302, 307, 308}) {
    away.status = status;
    tokens_.server().fault(away, TokenServer::any());
    EXPECT_FALSE(get(*open(config("alice"))));
  }
  ASSERT_EQ(other.count({}), 4u);
  for (const Request& request : other.requests()) EXPECT_EQ(request.header("authorization"), "");
  tokens_.server().fault(away, TokenServer::any());
  auto identity = docker_config(fmt::format(
      R"({{"auths": {{"127.0.0.1:5000": {{"identitytoken": "{}"}}}}}})", kAlicesIdentity));
  EXPECT_KIND(get(*open(identity)), ErrorKind::kProtocol);
  EXPECT_EQ(other.count({}), 4u);
}

TEST_F(RegistryTokenFaults, WhoARedirectLedToDoesNotSayWhereTheLoginGoes) {
  for (const char* other :
       {"http://127.0.0.1:5001", "http://cdn.example", "https://127.0.0.1:5000", "nonsense"}) {
    url_ = other;
    auto auth = open(config("alice"));
    const Status status = get(*auth);
    EXPECT_KIND(status, ErrorKind::kDenied);
    EXPECT_HAS(message(status), "it is not the registry");
    EXPECT_EQ(auth->authorization(kPull, Patience::kFull, {}).value(), "");
  }
  EXPECT_EQ(tokens_.count(), 0u);
}

TEST_F(RegistryTokenFaults, NoSecretInLogsOrErrors) {
  LogCapture log;
  std::string errors;
  auto fails = [&](RegistryLoginConfig with, Behaviour how) {
    how.body += std::string("{\"echo\":\"") + kAlicesPassword + kAlicesIdentity + "\"}";
    tokens_.server().fault(how, TokenServer::any(), 3);
    errors += message(get(*open(std::move(with)))) + "\n";
    tokens_.honest();
  };
  const auto identity = docker_config(fmt::format(
      R"({{"auths": {{"127.0.0.1:5000": {{"identitytoken": "{}"}}}}}})", kAlicesIdentity));
  {
    tokens_.life(1000ms);
    auto auth = open(config("alice"));
    EXPECT_TRUE(get(*auth));
    tokens_.revoke_all();
    EXPECT_TRUE(get(*auth));
    tokens_.server().fault(Behaviour::of_status(503), TokenServer::any(), 0);
    std::this_thread::sleep_for(800ms);
    auto late = auth->authorization(kPull, Patience::kFull, {});
    tokens_.honest();
  }
  errors += message(get(*open(config("alice", "wrong-s3cret")))) + "\n";
  for (int status : {200, 300, 400, 401, 403, 404, 500}) {
    fails(config("alice"), Behaviour::of_status(status));
    fails(identity, Behaviour::of_status(status));
  }
  Behaviour away;
  away.redirect = "http://127.0.0.1:1/?password=" + std::string(kAlicesPassword);
  fails(config("alice"), away);

  EXPECT_HAS(log.text(), "a token for 'repository:team/vm:pull'");
  EXPECT_HAS(log.text(), "the token for 'repository:team/vm:pull' was refused");
  for (const std::string& text : {errors, log.text()})
    for (const char* secret : {"s3cret", "token-", "alice", "YWxpY2U"})
      EXPECT_EQ(text.find(secret), std::string::npos) << secret << " in " << text;
}

}  // namespace
}  // namespace imgcachefs
