#include "fetch/docker_config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>

#include "base/base64.h"
#include "support/log_capture.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using Strings = std::vector<std::string>;

Url url(const std::string& text) {
  return Url::parse(text).value();
}

class DockerConfigFile : public ::testing::Test {
 protected:
  std::string write(const std::string& text, const std::string& name = "config.json",
                    mode_t mode = 0600) {
    const std::string path = dir_.write(name, text);
    ::chmod(path.c_str(), mode);
    return path;
  }
  DockerConfig of(const std::string& text) {
    auto config = DockerConfig::load(write(text));
    if (!config) throw std::runtime_error(config.error().message);
    return *config;
  }
  // "user:password", "identity ...", "bearer ..." or "none".
  static std::string login(const DockerConfig& config, const std::string& registry,
                           const std::string& repository = "") {
    auto login = config.login(url(registry), repository);
    if (!login) return "error: " + login.error().message;
    if (!*login) return "none";
    if (!(*login)->identity_token.empty()) return "identity " + (*login)->identity_token;
    if (!(*login)->bearer.empty()) return "bearer " + (*login)->bearer;
    return (*login)->username + ":" + (*login)->password;
  }
  std::string refused(const std::string& text) {
    auto config = DockerConfig::load(write(text));
    EXPECT_FALSE(config) << text;
    if (config) return "";
    EXPECT_EQ(config.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(config.error().message.find("config.json"), std::string::npos);
    EXPECT_EQ(config.error().message.find("s3cret"), std::string::npos);
    return config.error().message;
  }
  test::TempDir dir_;
};

TEST_F(DockerConfigFile, LoginsAsDockerWritesThem) {
  const auto config = of(R"({"auths": {
      "reg.example:5000": {"auth": ")" +
                         base64_encode("alice:s3c:ret") + R"("},
      "https://plain.example/v1/": {"username": "bob", "password": "s3cret", "email": "b@x"},
      "id.example": {"auth": ")" +
                         base64_encode("0000-00:") + R"(", "identitytoken": "idt"},
      "token.example": {"registrytoken": "abc.def"},
      "old.example": {"auth": ")" +
                         base64_encode(std::string("eve:pw\0\0", 8)) + R"("}},
    "HttpHeaders": {"User-Agent": "Docker"}})");
  EXPECT_EQ(login(config, "https://reg.example:5000"), "alice:s3c:ret");
  EXPECT_EQ(login(config, "http://reg.example:5000", "team/vm"), "alice:s3c:ret");
  EXPECT_EQ(login(config, "https://REG.example:5001"), "none");
  EXPECT_EQ(login(config, "https://reg.example"), "none");
  EXPECT_EQ(login(config, "https://plain.example"), "bob:s3cret");
  EXPECT_EQ(login(config, "https://plain.example", "v1"), "bob:s3cret");
  EXPECT_EQ(login(config, "https://id.example"), "identity idt");
  EXPECT_EQ(login(config, "https://token.example"), "bearer abc.def");
  EXPECT_EQ(login(config, "https://old.example"), "eve:pw");
  EXPECT_EQ((*config.login(url("https://id.example"), ""))->username, "0000-00");
  EXPECT_EQ((*config.login(url("https://id.example"), ""))->whence, dir_.file("config.json"));
}

TEST_F(DockerConfigFile, KeysHaveManyForms) {
  for (const char* key : {"reg.example", "Reg.EXAMPLE/", "reg.example:443", "https://reg.example",
                          "http://reg.example/v2/", "reg.example/v1/", "reg.example/v2",
                          "https://reg.example:443/v1"})
    EXPECT_EQ(login(of(R"({"auths": {")" + std::string(key) +
                       R"(": {"username": "a", "password": "b"}}})"),
                    "https://reg.example", "team/vm"),
              "a:b")
        << key;
  for (const char* hub :
       {"https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"}) {
    const auto config =
        of(R"({"auths": {")" + std::string(hub) + R"(": {"username": "a", "password": "b"}}})");
    for (const char* host :
         {"https://registry-1.docker.io", "https://docker.io", "https://index.docker.io"})
      EXPECT_EQ(login(config, host, "library/debian"), "a:b") << hub << " " << host;
    EXPECT_EQ(login(config, "https://docker.io:5000"), "none");
  }
}

TEST_F(DockerConfigFile, TheLongestKeyOfARepositoryCounts) {
  const auto config = of(R"({"auths": {
      "reg.example": {"username": "all", "password": "1"},
      "reg.example/team": {"username": "team", "password": "2"},
      "reg.example/team/vm": {"username": "vm", "password": "3"},
      "other.example/only": {"username": "only", "password": "4"}}})");
  EXPECT_EQ(login(config, "https://reg.example"), "all:1");
  EXPECT_EQ(login(config, "https://reg.example", "else/where"), "all:1");
  EXPECT_EQ(login(config, "https://reg.example", "team"), "team:2");
  EXPECT_EQ(login(config, "https://reg.example", "team/x/y"), "team:2");
  EXPECT_EQ(login(config, "https://reg.example", "team/vm"), "vm:3");
  EXPECT_EQ(login(config, "https://reg.example", "team/vm/deep"), "vm:3");
  EXPECT_EQ(login(config, "https://reg.example", "team/vm2"), "team:2");
  EXPECT_EQ(login(config, "https://other.example", "other"), "none");
  EXPECT_EQ(login(config, "https://other.example", "only/this"), "only:4");
}

TEST_F(DockerConfigFile, Helpers) {
  const auto config = of(R"({
      "auths": {"https://kept.example/v1/": {}, "https://index.docker.io/v1/": {}},
      "credHelpers": {"gcr.example": "gcloud", "reg.example:5000": "pass", "docker.io": "hub",
                      "no.example": ""},
      "credsStore": "secretservice"})");
  using Question = HelperQuestion;
  EXPECT_EQ(config.helper(url("https://gcr.example")), (Question{"gcloud", "gcr.example"}));
  EXPECT_EQ(config.helper(url("https://reg.example:5000")), (Question{"pass", "reg.example:5000"}));
  EXPECT_EQ(config.helper(url("https://registry-1.docker.io")),
            (Question{"hub", "https://index.docker.io/v1/"}));
  EXPECT_FALSE(config.helper(url("https://no.example")));
  EXPECT_FALSE(config.helper(url("https://reg.example")));
  EXPECT_EQ(config.store(url("https://any.example:1")),
            (Question{"secretservice", "any.example:1"}));
  EXPECT_EQ(config.store(url("https://any.example:443")),
            (Question{"secretservice", "any.example"}));
  EXPECT_EQ(config.store(url("https://kept.example")),
            (Question{"secretservice", "https://kept.example/v1/"}));
  EXPECT_EQ(config.store(url("https://docker.io")),
            (Question{"secretservice", "https://index.docker.io/v1/"}));
  EXPECT_EQ(login(config, "https://kept.example"), "none");
  EXPECT_FALSE(of("{}").store(url("https://any.example")));
}

TEST_F(DockerConfigFile, OddButGood) {
  EXPECT_EQ(login(of(""), "https://a"), "none");
  EXPECT_EQ(login(of("{}"), "https://a"), "none");
  EXPECT_EQ(login(of(R"({"auths": null, "credHelpers": null, "credsStore": 7})"), "https://a"),
            "none");
  EXPECT_EQ(login(of(R"({"auths": {"a": 1, "b": null, "": {"auth": "x"}}})"), "https://a"), "none");
}

TEST_F(DockerConfigFile, AWrongLoginIsNamedWhenItIsNeeded) {
  for (const char* entry :
       {R"({"auth": "s3cret"})", R"({"auth": "czNjcmV0"})", R"({"auth": "OnMzY3JldA=="})",
        R"({"auth": "%%%"})", R"({"registrytoken": "s3cret\r\nX: y"})"}) {
    const auto config = of(R"({"auths": {"wrong.example": )" + std::string(entry) +
                           R"(, "good.example": {"username": "a", "password": "b"}}})");
    EXPECT_EQ(login(config, "https://good.example"), "a:b");
    const std::string error = login(config, "https://wrong.example");
    EXPECT_NE(error.find("'wrong.example' is no login"), std::string::npos) << error;
    EXPECT_EQ(error.find("s3cret"), std::string::npos);
  }
}

TEST_F(DockerConfigFile, WhatIsNoConfigIsRefused) {
  EXPECT_NE(refused(R"({"auths": {"x": "s3cret")").find("no JSON"), std::string::npos);
  refused("[]");
  refused(R"("s3cret")");
  refused("\xff\xfe{}");
  EXPECT_NE(refused(R"({"auths": ["s3cret"]})").find("auths"), std::string::npos);
  EXPECT_NE(refused(R"({"credHelpers": "s3cret"})").find("credHelpers"), std::string::npos);
  EXPECT_NE(refused(std::string(2 << 20, ' ')).find("too large"), std::string::npos);
  refused(std::string(500'000, '['));
  EXPECT_EQ(DockerConfig::load(dir_.path().string()).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(DockerConfig::load(dir_.file("none")).error().kind, ErrorKind::kNotFound);
}

TEST_F(DockerConfigFile, OpenToAllIsSaidWhenItHoldsSecrets) {
  test::LogCapture log;
  const std::string text = R"({"auths": {"a": {"username": "a", "password": "s3cret"}}})";
  EXPECT_TRUE(DockerConfig::load(write(text, "a", 0600)));
  EXPECT_TRUE(DockerConfig::load(write(R"({"credsStore": "x"})", "b", 0644)));
  EXPECT_EQ(log.text(), "");
  EXPECT_TRUE(DockerConfig::load(write(text, "c", 0644)));
  EXPECT_NE(log.text().find("can be read by everyone"), std::string::npos);
  EXPECT_EQ(log.text().find("s3cret"), std::string::npos);
}

TEST_F(DockerConfigFile, TheFirstThereIs) {
  const std::string one = write("{}", "one"), two = write("{}", "two"), bad = write("[", "bad");
  auto first = [&](const Strings& paths) {
    auto config = DockerConfig::first_of(paths);
    if (!config) return "error: " + config.error().message;
    return *config ? (*config)->path() : "none";
  };
  EXPECT_EQ(first({}), "none");
  EXPECT_EQ(first({dir_.file("x"), one + "/under/a/file", "/dev/null/x"}), "none");
  EXPECT_EQ(first({dir_.file("x"), two, one}), two);
  EXPECT_EQ(first({bad, one}).find("error: " + bad), 0u);
}

TEST(DockerConfigPlaces, Order) {
  std::map<std::string, std::string> variables;
  auto places = [&](const std::string& home) {
    return docker_config_places([&](const char* name) { return variables[name]; }, home);
  };
  EXPECT_EQ(places(""), Strings{});
  EXPECT_EQ(places("/home/jane"), Strings{"/home/jane/.docker/config.json"});
  variables = {{"REGISTRY_AUTH_FILE", "/a/auth"},
               {"XDG_RUNTIME_DIR", "/run/user/7"},
               {"DOCKER_CONFIG", "/d"}};
  EXPECT_EQ(places("/h"), (Strings{"/a/auth", "/run/user/7/containers/auth.json", "/d/config.json",
                                   "/h/.docker/config.json"}));
}

}  // namespace
}  // namespace imgcachefs
