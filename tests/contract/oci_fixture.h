// What the tests of registries share: how they are let in, and what is known of blobs.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "contract/upstream_fixture.h"
#include "fetch/layer_info.h"
#include "fetch/oci_registry.h"
#include "fetch/open_upstream.h"
#include "fetch/registry_auth.h"
#include "support/fake_registry.h"
#include "support/token_server.h"

namespace imgcachefs::test {

// Shows one value after the other, the next one once the last was refused.
class ScriptedAuth : public RegistryAuth {
 public:
  explicit ScriptedAuth(std::vector<std::string> values = {""}) : values_(std::move(values)) {}

  Result<std::string> authorization(const RegistryScope& scope, Patience,
                                    std::stop_token) override {
    std::lock_guard lock(mutex_);
    scopes_.insert(scope);
    if (auto at = denied_.find(scope); at != denied_.end())
      return fail(ErrorKind::kDenied, "the token server says no to " + scope);
    return values_[at_];
  }
  Status refused(const RegistryScope&, const std::string& sent, const HttpHead& answer) override {
    std::lock_guard lock(mutex_);
    challenges_.push_back(answer.header("www-authenticate").value_or(""));
    if (sent != values_[at_]) return {};
    if (at_ + 1 == values_.size()) return fail(ErrorKind::kDenied, "there is no other login");
    ++at_;
    return {};
  }
  void deny(const RegistryScope& scope) {
    std::lock_guard lock(mutex_);
    denied_.insert(scope);
  }
  std::set<RegistryScope> scopes() const {
    std::lock_guard lock(mutex_);
    return scopes_;
  }
  std::vector<std::string> challenges() const {
    std::lock_guard lock(mutex_);
    return challenges_;
  }

 private:
  mutable std::mutex mutex_;  // protects what follows
  const std::vector<std::string> values_;
  size_t at_ = 0;
  std::set<RegistryScope> scopes_, denied_;
  std::vector<std::string> challenges_;
};

// Remembers everything, and can be told lies.
class SimpleLayerInfo : public LayerMembership, public LayerInfos {
 public:
  bool contains(const std::string& repository, const Digest& blob) override {
    std::lock_guard lock(mutex_);
    return members_.contains({repository, blob.tagged()});
  }
  void add(const std::string& repository, const Digest& blob) override {
    std::lock_guard lock(mutex_);
    members_.insert({repository, blob.tagged()});
  }
  void remove(const std::string& repository, const Digest& blob) override {
    std::lock_guard lock(mutex_);
    members_.erase({repository, blob.tagged()});
  }
  std::optional<LayerInfo> get(const Digest& blob) override {
    std::lock_guard lock(mutex_);
    auto at = infos_.find(blob.tagged());
    return at == infos_.end() ? std::nullopt : std::optional(at->second);
  }
  void set(const Digest& blob, const LayerInfo& info) override {
    std::lock_guard lock(mutex_);
    infos_[blob.tagged()] = info;
  }
  void remove(const Digest& blob) override {
    std::lock_guard lock(mutex_);
    infos_.erase(blob.tagged());
  }

 private:
  std::mutex mutex_;  // protects what follows
  std::set<std::pair<std::string, std::string>> members_;
  std::map<std::string, LayerInfo> infos_;
};

// Without a login, and with nothing known.
inline RegistryConfig registry_config(const std::string& url) {
  auto info = std::make_shared<SimpleLayerInfo>();
  return {.url = url,
          .auth = std::make_unique<ScriptedAuth>(),
          .layer_info = {info, info},
          .platform = {"linux", "amd64", ""},
          .http = quick_config()};
}

inline std::unique_ptr<Upstream> open_registry_at(RegistryConfig config) {
  auto upstream = open_registry(std::move(config));
  if (!upstream) throw std::runtime_error(upstream.error().message);
  return std::move(*upstream);
}

// A registry with one repository, seen as if that was all there is.
class OneRepository : public Upstream {
 public:
  OneRepository(std::unique_ptr<Upstream> registry, std::string repository, std::string tag)
      : registry_(std::move(registry)), repository_(std::move(repository)), tag_(std::move(tag)) {}

  Result<ImageInfo> stat(const ImageId& id, Patience patience, std::stop_token stop) override {
    return registry_->repositories()->stat(repository_, id, patience, stop);
  }
  // The layers of the tag.
  Result<std::vector<CatalogueEntry>> list(Patience patience, std::stop_token stop) override {
    auto tag = registry_->repositories()->tag(repository_, tag_, patience, stop);
    if (!tag) return fail(tag.error());
    std::vector<CatalogueEntry> entries;
    for (const TaggedImage& image : tag->images)
      if (image.title != "config") entries.push_back({image.id});
    return entries;
  }
  Result<std::optional<Digest>> digest(const ImageInfo& info, bool fresh,
                                       std::stop_token stop) override {
    return registry_->digest(info, fresh, stop);
  }
  Result<ReadOutcome> read(const ImageInfo& info, ByteRange range, ByteSink& sink,
                           std::stop_token stop) override {
    return registry_->read(info, range, sink, stop);
  }
  const UpstreamStats& stats() const override { return registry_->stats(); }

 private:
  const std::unique_ptr<Upstream> registry_;
  const std::string repository_, tag_;
};

struct RegistryKind {
  bool basic = false, bearer = false, token_server = false, redirects = false, ranges = true;
};

inline const TokenServerOptions kTokensForAlice = {
    .users = {{.name = "alice", .password = "alicepw"}},
    .may = [](const std::string& user, const std::string&, const std::string&) {
      return user == "alice";
    }};

// Makes the registry one whose tokens are given by `tokens`, which must live as long.
inline void use_tokens(FakeRegistry& registry, const TokenServer& tokens) {
  registry.judged_by(
      [&tokens](const std::string& scope, const std::string& sent) -> std::optional<std::string> {
        if (sent.empty()) return tokens.challenge(scope);
        if (tokens.allows(sent, scope)) return std::nullopt;
        return tokens.challenge(scope, tokens.knows(sent) ? "insufficient_scope" : "invalid_token");
      });
}

// As a mount opens it, with a login.
inline std::unique_ptr<Upstream> open_registry_source(const std::string& url,
                                                      const std::string& username,
                                                      const std::string& password,
                                                      const HttpConfig& http = quick_config()) {
  UpstreamConfig config;
  config.http = http;
  config.secrets.set("username", username);
  config.secrets.set("password", password);
  config.believe = std::chrono::seconds(0);  // so that the server is asked each time
  auto source = Source::parse("oci+" + url);
  if (!source) throw std::runtime_error(source.error().message);
  auto opened = open_upstream(*source, config);
  if (!opened) throw std::runtime_error(opened.error().message);
  return std::move(opened->upstream);
}

class FakeRegistryImages : public ImageServer {
 public:
  explicit FakeRegistryImages(RegistryKind kind = {}) : kind_(kind) {
    if (kind.basic) registry_->basic("Basic good");
    if (kind.bearer) registry_->token("good", {"repository:team/vm:pull"});
    if (kind.token_server) use_tokens(*registry_, tokens_);
    if (!kind.ranges) registry_->no_ranges();
    if (kind.redirects) registry_->redirect(store_.get());
  }
  std::string id(const std::string& name) const override {
    auto at = ids_.find(name);
    return at == ids_.end() ? digest_of_bytes("there is no " + name) : at->second;
  }
  void put(const std::string& name, const std::string& bytes) override {
    if (ids_.contains(name)) remove(name);
    ids_[name] = registry_->push(kRepository, bytes);
    publish();
  }
  void remove(const std::string& name) override {
    registry_->remove(kRepository, id(name));
    ids_.erase(name);
    publish();
  }
  void stop() override {
    registry_.reset();
    store_.reset();
  }
  std::unique_ptr<Upstream> open(const HttpConfig& http) override {
    if (kind_.token_server)
      return std::make_unique<OneRepository>(
          open_registry_source(registry_->url(), "alice", "alicepw", http), kRepository, "all");
    RegistryConfig config = registry_config(registry_->url());
    if (kind_.basic || kind_.bearer)
      config.auth = std::make_unique<ScriptedAuth>(
          std::vector<std::string>{"", kind_.basic ? "Basic good" : "Bearer good"});
    config.http = http;
    config.believe = std::chrono::seconds(0);  // so that the server is asked each time
    return std::make_unique<OneRepository>(open_registry_at(std::move(config)), kRepository, "all");
  }
  bool ranges() const override { return kind_.ranges; }
  bool content_addressed() const override { return true; }
  unsigned hops() const override { return kind_.redirects ? 2 : 1; }

 private:
  static constexpr const char* kRepository = "team/vm";
  void publish() {
    std::vector<std::pair<std::string, std::string>> layers(ids_.begin(), ids_.end());
    registry_->tag(kRepository, "all", FakeRegistry::image_of(layers));
  }
  const RegistryKind kind_;
  std::map<std::string, std::string> ids_;  // by name
  TokenServer tokens_{kTokensForAlice};
  std::unique_ptr<FaultServer> store_ = std::make_unique<FaultServer>();
  std::unique_ptr<FakeRegistry> registry_ = std::make_unique<FakeRegistry>();
};

}  // namespace imgcachefs::test
