// Questions to one registry, asked with the login it wants.
//
// A 401 of the registry's own is what tells the RegistryAuth how to log in, and what makes it renew
// what ran out; the question is then asked again. Where the registry sends us on to (a store of
// blobs) no login goes, and what is refused there is no refusal of the registry's.
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fetch/http_answer.h"
#include "fetch/http_client.h"
#include "fetch/registry_auth.h"
#include "fetch/url.h"

namespace imgcachefs {

RegistryScope pull_scope(const std::string& repository);

// How long a question may take together with all it leads to, and who ends it.
struct Limits {
  Patience patience;
  std::stop_token stop;
  std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
};

struct RegistryQuestion {
  std::string target;  // path and query
  RegistryScope scope;
  bool head = false;
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::vector<int> good = {200};  // the statuses that are answers; any other is an error
  size_t body_limit = 0;          // longer than that is kProtocol; 0: the body is not wanted
};

// Thread-safe.
class RegistryClient {
 public:
  // `url`: scheme://host[:port]. Of `http` the login is not used.
  RegistryClient(Url url, std::unique_ptr<RegistryAuth> auth, const HttpConfig& http,
                 std::shared_ptr<UpstreamStats> stats);

  Result<HttpAnswer> ask(const RegistryQuestion& question, const Limits& limits);

  // For requests that are made elsewhere: what to show, and what to do with a 401 to it. Ok: ask
  // again.
  Result<std::string> authorization(const RegistryScope& scope, const Limits& limits);
  HttpRequest request(const std::string& target, const std::string& authorization) const;
  Status refused(const RegistryScope& scope, const std::string& authorization,
                 const HttpHead& answer);
  // Whether it was the registry that answered, and not where it sent us.
  bool is_own(const HttpHead& answer) const;
  // What to make of a refusal, or of a "there is none", of where it sent us.
  static Error of_elsewhere(const HttpHead& answer);

  HttpClient& http() { return http_; }
  UpstreamStats& stats() const { return *stats_; }
  unsigned retries() const { return retries_; }

  // 401 in a row that one request is asked again after: for a login, for one that ran out
  // meanwhile, and some for those of others.
  static constexpr int kMostRefusals = 4;

 private:
  const Url url_;
  const std::string base_;  // url_ without a '/' at its end
  const std::unique_ptr<RegistryAuth> auth_;
  const unsigned retries_;
  const std::shared_ptr<UpstreamStats> stats_;
  HttpClient http_;
};

}  // namespace imgcachefs
