// Logging in to a registry: where the login comes from, and registries that want a password.
#include "fetch/registry_login.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <set>

#include "base/base64.h"
#include "contract/registry_fixture.h"

namespace imgcachefs {
namespace {

using namespace test;

class RegistryLoginSources : public RegistryLoginTest {
 protected:
  RegistryLoginSources() : path_(std::getenv("PATH")) {
    ::setenv("PATH", (dir_.path().string() + ":" + path_).c_str(), 1);
  }
  ~RegistryLoginSources() override { ::setenv("PATH", path_.c_str(), 1); }

  // A registry that wants one of these ("user:password").
  void wants_basic(const Strings& logins) {
    std::set<std::string> good;
    for (const std::string& login : logins) good.insert("Basic " + base64_encode(login));
    says_ = [good](const std::string&, const std::string& sent) -> std::optional<std::string> {
      if (good.contains(sent)) return std::nullopt;
      return R"(Basic realm="basic-realm")";
    };
  }
  // docker-credential-<name> says that, and notes that it was asked.
  void helper(const std::string& says, const std::string& name = "test") {
    const std::string path =
        dir_.write("docker-credential-" + name,
                   "#!/bin/sh\necho x >> " + dir_.file(name + ".asked") + "\n" + says + "\n");
    ::chmod(path.c_str(), 0755);
  }
  static std::string login_json(const std::string& username, const std::string& secret) {
    return fmt::format(R"(echo '{{"Username":"{}","Secret":"{}"}}')", username, secret);
  }
  size_t asked(const std::string& name = "test") const {
    return read_file(dir_.file(name + ".asked")).size() / 2;
  }
  std::string path_;
};

TEST_F(RegistryLoginSources, APassword) {
  wants_basic({"alice:hunter2-s3cret"});
  auto auth = open(config("alice"));
  EXPECT_TRUE(get(*auth));
  EXPECT_TRUE(get(*auth, kPrivate));
  const std::string basic = "Basic " + base64_encode("alice:hunter2-s3cret");
  EXPECT_EQ(sent(), (Strings{"", basic, basic}));
  EXPECT_EQ(tokens_.count(), 0u);
}

TEST_F(RegistryLoginSources, AWrongPasswordIsNotShownAgainAndAgain) {
  wants_basic({"alice:other"});
  auto auth = open(config("alice"));
  auto fails = [&](const std::string& scope) {
    const Status status = get(*auth, scope);
    EXPECT_KIND(status, ErrorKind::kDenied);
    EXPECT_HAS(message(status), "does not let us in with the login of the credentials file");
    EXPECT_EQ(message(status).find("s3cret"), std::string::npos);
  };
  for (int i = 0; i < 5; ++i) fails(kPull);
  EXPECT_EQ(sent().size(), 2u);
  for (int i = 0; i < 20; ++i) fails(fmt::format("repository:r{}:pull", i));
  EXPECT_EQ(sent().size(), 4u);
}

TEST_F(RegistryLoginSources, APasswordThatIsNotGoodForEverythingIsUsedForTheRest) {
  says_ = [](const std::string& scope, const std::string& sent) -> std::optional<std::string> {
    if (!sent.empty() && scope.starts_with("repository:")) return std::nullopt;
    return "Basic realm=x";
  };
  auto auth = open(config("alice"));
  crowd([&] { EXPECT_KIND(get(*auth, "registry:catalog:*"), ErrorKind::kDenied); });
  EXPECT_TRUE(get(*auth));
  EXPECT_KIND(get(*auth, "registry:catalog:*"), ErrorKind::kDenied);
  EXPECT_TRUE(get(*auth, kPrivate));
}

TEST_F(RegistryLoginSources, APasswordThatWeDoNotHave) {
  wants_basic({"alice:other"});
  auto auth = open();
  for (int i = 0; i < 5; ++i) {
    const Status status = get(*auth);
    EXPECT_KIND(status, ErrorKind::kDenied);
    EXPECT_HAS(message(status), "wants a user and a password, and we have none for it");
  }
  EXPECT_EQ(sent(), Strings{""});
}

TEST_F(RegistryLoginSources, ATokenOfTheOperators) {
  says_ = [](const std::string&, const std::string& sent) -> std::optional<std::string> {
    if (sent == "Bearer fixed-s3cret") return std::nullopt;
    return R"(Bearer realm="registry")";  // no token server is needed
  };
  auto with = config();
  with.secrets.set("token", "fixed-s3cret");
  auto auth = open(with);
  EXPECT_TRUE(get(*auth));
  EXPECT_TRUE(get(*auth, kPrivate));
  EXPECT_EQ(sent(), (Strings{"", "Bearer fixed-s3cret", "Bearer fixed-s3cret"}));

  with.secrets.set("token", "old-s3cret");
  auth = open(with);
  for (int i = 0; i < 5; ++i) {
    const Status status = get(*auth);
    EXPECT_KIND(status, ErrorKind::kDenied);
    EXPECT_HAS(message(status), "does not let us in with the token of the credentials file");
    EXPECT_EQ(message(status).find("s3cret"), std::string::npos);
  }
  wants_basic({"alice:x"});
  EXPECT_HAS(message(get(*open(with))), "the credentials file has a token instead");
}

TEST_F(RegistryLoginSources, OtherSchemesAreNamed) {
  says_ = [](const std::string&, const std::string&) { return "Negotiate, Digest realm=x"; };
  const Status status = get(*open(config("alice")));
  EXPECT_KIND(status, ErrorKind::kDenied);
  EXPECT_HAS(message(status), "negotiate, digest");
  says_ = [](const std::string&, const std::string&) { return ""; };
  EXPECT_HAS(message(get(*open(config("alice")))), "does not say how to log in");
  EXPECT_EQ(sent(), (Strings{"", ""}));
}

TEST_F(RegistryLoginSources, ALoginOfDockers) {
  auto auth = open(docker_config(R"({"auths": {"127.0.0.1:5000": {"auth": ")" +
                                 base64_encode(std::string("alice:") + kAlicesPassword) + "\"}}}"));
  EXPECT_TRUE(get(*auth, kPrivate));
  EXPECT_EQ(tokens_.requests().at(0).user, "alice");
}

TEST_F(RegistryLoginSources, TheCredentialsFileGoesFirst) {
  auto with = docker_config(R"({"auths": {"127.0.0.1:5000": {"username": "x", "password": "y"}}})");
  with.secrets.set("username", "alice");
  with.secrets.set("password", kAlicesPassword);
  EXPECT_TRUE(get(*open(with), kPrivate));
}

TEST_F(RegistryLoginSources, ALoginOfARepository) {
  wants_basic({"all:1", "team:2"});
  auto auth = open(docker_config(R"({"auths": {
      "127.0.0.1:5000": {"username": "all", "password": "1"},
      "127.0.0.1:5000/team": {"username": "team", "password": "2"}}})"));
  EXPECT_TRUE(get(*auth, "repository:other:pull"));
  EXPECT_TRUE(get(*auth, kPull));
  EXPECT_TRUE(get(*auth, "registry:catalog:*"));
  EXPECT_EQ(sent(),
            (Strings{"", "Basic " + base64_encode("all:1"), "Basic " + base64_encode("team:2"),
                     "Basic " + base64_encode("all:1")}));
}

TEST_F(RegistryLoginSources, AnIdentityToken) {
  auto auth = open(docker_config(fmt::format(
      R"({{"auths": {{"127.0.0.1:5000": {{"identitytoken": "{}"}}}}}})", kAlicesIdentity)));
  EXPECT_TRUE(get(*auth, kPrivate));
  ASSERT_EQ(tokens_.requests().size(), 1u);
  const TokenRequest request = tokens_.requests()[0];
  EXPECT_EQ(request.method, "POST");
  EXPECT_EQ(request.user, "alice");
  EXPECT_EQ(request.scopes, Strings{kPrivate});
  EXPECT_EQ(request.asked,
            (std::map<std::string, std::string>{{"grant_type", "refresh_token"},
                                                {"client_id", "imgcachefs"},
                                                {"service", "my-registry"},
                                                {"refresh_token", kAlicesIdentity}}));
  EXPECT_EQ(tokens_.server().requests()[0].target, "/token");
}

TEST_F(RegistryLoginSources, AnIdentityTokenThatIsOver) {
  for (int status : {400, 401}) {
    auto auth =
        open(docker_config(R"({"auths": {"127.0.0.1:5000": {"identitytoken": "old-s3cret"}}})"));
    if (status == 400) tokens_.server().fault(Behaviour::of_status(400), TokenServer::any());
    const size_t before = tokens_.count();
    for (int i = 0; i < 5; ++i) {
      const Status denied = get(*auth, kPrivate);
      EXPECT_KIND(denied, ErrorKind::kDenied);
      EXPECT_EQ(message(denied).find("s3cret"), std::string::npos);
    }
    EXPECT_EQ(tokens_.count(), before + 1);
  }
}

TEST_F(RegistryLoginSources, AHelperIsAskedOnceAndOnlyWhenItIsNeeded) {
  helper(login_json("alice", kAlicesPassword));
  auto auth = open(docker_config(R"({"credHelpers": {"127.0.0.1:5000": "test"}})"));
  EXPECT_EQ(auth->authorization(kPull, Patience::kFull, {}).value(), "");
  EXPECT_EQ(asked(), 0u);
  crowd([&] { EXPECT_TRUE(get(*auth, kPrivate)); });
  EXPECT_TRUE(get(*auth));
  EXPECT_EQ(asked(), 1u);
  EXPECT_EQ(tokens_.requests().at(0).user, "alice");
}

TEST_F(RegistryLoginSources, TheHelperOfThisRegistryThenTheFileThenTheStore) {
  wants_basic({"own:1", "file:2", "store:3"});
  const std::string own = R"("credHelpers": {"127.0.0.1:5000": "own"})",
                    store = R"("credsStore": "store")",
                    file = R"("auths": {"127.0.0.1:5000": {"username": "file", "password": "2"}})";
  auto last_sent = [&](const std::string& text) {
    auto auth = open(docker_config("{" + text + "}"));
    EXPECT_TRUE(get(*auth)) << text;
    return base64_decode(sent().back().substr(6)).value_or("none");
  };
  helper(login_json("own", "1"), "own");
  helper(login_json("store", "3"), "store");
  EXPECT_EQ(last_sent(own + "," + file + "," + store), "own:1");
  EXPECT_EQ(last_sent(file + "," + store), "file:2");
  EXPECT_EQ(last_sent(R"("auths": {"127.0.0.1:5000": {}},)" + store), "store:3");
  helper("echo 'credentials not found in native keychain'; exit 1", "own");
  EXPECT_EQ(last_sent(own + "," + file + "," + store), "file:2");
  EXPECT_EQ(last_sent(own + "," + store), "store:3");
}

TEST_F(RegistryLoginSources, AHelperThatHasNothingMeansAnonymous) {
  helper("echo 'credentials not found in native keychain'; exit 1");
  auto auth = open(docker_config(R"({"credsStore": "test"})"));
  EXPECT_TRUE(get(*auth));
  EXPECT_KIND(get(*auth, kPrivate), ErrorKind::kDenied);
  EXPECT_EQ(tokens_.requests().at(0).user, "");
  EXPECT_EQ(asked(), 1u);
}

TEST_F(RegistryLoginSources, AHelperThatFailsIsNotRunAgainAndAgain) {
  helper("echo s3cret; exit 1");
  auto auth = open(docker_config(R"({"credsStore": "test"})"));
  for (int i = 0; i < 10; ++i) {
    const Status status = get(*auth, fmt::format("repository:r{}:pull", i));
    EXPECT_KIND(status, ErrorKind::kUnavailable);
    EXPECT_HAS(message(status), "docker-credential-test");
    EXPECT_EQ(message(status).find("s3cret"), std::string::npos);
  }
  EXPECT_EQ(asked(), 1u);
  EXPECT_EQ(tokens_.count(), 0u);
}

TEST_F(RegistryLoginSources, ARefusedLoginOfAHelperIsNotAskedForAtOnce) {
  wants_basic({"alice:new"});
  helper(login_json("alice", "wrong"));
  auto auth = open(docker_config(R"({"credsStore": "test"})"));
  for (int i = 0; i < 10; ++i) EXPECT_KIND(get(*auth), ErrorKind::kDenied);
  EXPECT_EQ(asked(), 1u);
  EXPECT_EQ(sent().size(), 2u);
}

// As of a cloud, whose helper makes logins for some hours.
TEST_F(RegistryLoginSources, ALoginOfAHelperThatIsOverIsAskedForAnew) {
  wants_basic({"alice:morning"});
  helper(login_json("alice", "morning"));
  auto auth = open(docker_config(R"({"credsStore": "test"})"));
  auto of_tokens = open(docker_config(R"({"credsStore": "token"})"));
  helper(login_json("alice", kAlicesPassword), "token");
  EXPECT_TRUE(get(*auth));
  EXPECT_TRUE(get(*auth, kPrivate));
  auto basic = says_;
  says_ = [this](const std::string& scope, const std::string& sent) {
    return with_tokens(scope, sent);
  };
  EXPECT_TRUE(get(*of_tokens));
  std::this_thread::sleep_for(10100ms);  // as long as it takes to be no longer new

  tokens_.users({{"alice", "evening"}});
  helper(login_json("alice", "evening"), "token");
  EXPECT_TRUE(get(*of_tokens, kPrivate));
  EXPECT_EQ(asked("token"), 2u);
  EXPECT_EQ(tokens_.count(), 3u);

  wants_basic({"alice:evening"});
  helper(login_json("alice", "evening"));
  crowd([&] { EXPECT_TRUE(get(*auth)); });
  EXPECT_TRUE(get(*auth, kPrivate));
  EXPECT_EQ(asked(), 2u);
}

TEST_F(RegistryLoginSources, WhatCannotWorkIsSaidAtOnce) {
  auto refused = [](RegistryLoginConfig with) {
    auto auth = registry_login(std::move(with));
    EXPECT_KIND(auth, ErrorKind::kInvalid);
    const std::string text = auth ? "" : auth.error().message;
    EXPECT_EQ(text.find("s3cret"), std::string::npos) << text;
    return text;
  };
  EXPECT_HAS(refused(config("alice", "")), "password is missing");
  EXPECT_HAS(refused(config("al:ice")), "':' in the username");
  auto with = config();
  with.secrets.set("password", "s3cret");
  EXPECT_HAS(refused(with), "username is missing");
  with = config("alice");
  with.secrets.set("token", "s3cret");
  EXPECT_HAS(refused(with), "both a token and a username");
  with = config();
  with.secrets.set("token", "s3cret and more");
  EXPECT_HAS(refused(with), "token");
  with = config();
  with.http.ca_file = "/does/not/exist";
  EXPECT_HAS(refused(with), "ca_file");
  for (const char* url : {"", "registry", "oci+http://x", "http://x/path", "http://u:s3cret@x",
                          "http://x/?s3cret=s3cret"}) {
    with = config();
    with.registry = url;
    EXPECT_HAS(refused(with), "registry");
  }
  EXPECT_HAS(refused(docker_config(R"({"credHelpers": {"127.0.0.1:5000": "../evil"}})")),
             "'../evil' is no name of a credential helper");
  EXPECT_HAS(refused(docker_config(R"({"credsStore": "a b"})")), "'a b'");
}

TEST(NoRegistryAuth, SendsNothingAndTakesA401ForAnAnswer) {
  auto auth = no_registry_auth();
  EXPECT_EQ(auth->authorization(kPull, Patience::kFull, {}).value(), "");
  auto refused = auth->refused(kPull, "", {.status = 401, .url = "http://r/v2/", .headers = {}});
  EXPECT_KIND(refused, ErrorKind::kDenied);
  EXPECT_HAS(refused.error().message, "http://r/v2/: HTTP status 401");
}

}  // namespace
}  // namespace imgcachefs
