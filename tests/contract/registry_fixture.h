// A registry's part in logging in, without its HTTP: what it says to what is sent.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "contract/upstream_fixture.h"
#include "fetch/registry_login.h"
#include "support/crowd.h"
#include "support/log_capture.h"
#include "support/token_server.h"

namespace imgcachefs::test {

constexpr char kRegistry[] = "http://127.0.0.1:5000";
constexpr char kPull[] = "repository:team/vm:pull";
constexpr char kPrivate[] = "repository:private/vm:pull";
constexpr char kAlicesPassword[] = "hunter2-s3cret";
constexpr char kAlicesIdentity[] = "identity-s3cret";

class RegistryLoginTest : public ::testing::Test {
 protected:
  using Strings = std::vector<std::string>;

  RegistryLoginTest() {
    says_ = [this](const std::string& scope, const std::string& sent) {
      return with_tokens(scope, sent);
    };
  }

  // The challenge of a 401; nullopt: let in.
  std::optional<std::string> with_tokens(const std::string& scope, const std::string& sent) const {
    if (sent.empty()) return tokens_.challenge(scope);
    if (tokens_.allows(sent, scope)) return std::nullopt;
    return tokens_.challenge(scope, tokens_.knows(sent) ? "insufficient_scope" : "invalid_token");
  }

  RegistryLoginConfig config(const std::string& username = "",
                             const std::string& password = kAlicesPassword) const {
    RegistryLoginConfig config;
    config.registry = kRegistry;
    config.http = quick_config();
    if (!username.empty()) {
      config.secrets.set("username", username);
      config.secrets.set("password", password);
    }
    return config;
  }
  RegistryLoginConfig docker_config(const std::string& text) const {
    RegistryLoginConfig with = config();
    const std::string path = dir_.write("config.json", text);
    ::chmod(path.c_str(), 0600);
    auto docker = DockerConfig::load(path);
    if (!docker) throw std::runtime_error(docker.error().message);
    with.docker = *docker;
    return with;
  }
  static std::unique_ptr<RegistryAuth> open(RegistryLoginConfig config) {
    auto auth = registry_login(std::move(config));
    if (!auth) throw std::runtime_error(auth.error().message);
    return std::move(*auth);
  }
  std::unique_ptr<RegistryAuth> open() const { return open(config()); }

  // A request to the registry, as a client makes one.
  Status get(RegistryAuth& auth, const std::string& scope = kPull,
             Patience patience = Patience::kFull, std::stop_token stop = {}) {
    for (int i = 0; i < 10; ++i) {
      auto sent = auth.authorization(scope, patience, stop);
      if (!sent) return fail(sent.error());
      {
        std::lock_guard lock(mutex_);
        sent_.push_back(*sent);
      }
      const auto challenge = says_(scope, *sent);
      if (!challenge) return {};
      if (auto refused = auth.refused(scope, *sent, says_no(*challenge)); !refused) return refused;
    }
    ADD_FAILURE() << "it goes on for ever";
    return fail(ErrorKind::kIo, "for ever");
  }
  HttpHead says_no(const std::string& challenge) const {
    return {.status = 401, .url = url_ + "/v2/", .headers = {{"www-authenticate", challenge}}};
  }
  std::string message(const Status& status) {
    EXPECT_FALSE(status);
    return status ? "" : status.error().message;
  }
  Strings sent() const {
    std::lock_guard lock(mutex_);
    return sent_;
  }

  TempDir dir_;
  std::string url_ = kRegistry;  // of who answers
  TokenServer tokens_{{.users = {{"alice", kAlicesPassword, kAlicesIdentity}}}};
  std::function<std::optional<std::string>(const std::string& scope, const std::string& sent)>
      says_;

  mutable std::mutex mutex_;  // protects what follows
  Strings sent_;
};

#define EXPECT_HAS(text, part)               \
  do {                                       \
    const std::string t_ = (text);           \
    EXPECT_NE(t_.find(part), t_.npos) << t_; \
  } while (false)

}  // namespace imgcachefs::test
