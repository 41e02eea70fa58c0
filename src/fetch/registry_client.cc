#include "fetch/registry_client.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace imgcachefs {
namespace {

HttpConfig without_login(HttpConfig config) {
  config.login = {};
  return config;
}

std::string without_slash(std::string url) {
  if (url.ends_with('/')) url.pop_back();
  return url;
}

// Statuses that mean one thing when the registry sends them, and another elsewhere.
constexpr int kOfTheRegistry[] = {401, 403, 404};

bool is_among(const std::vector<int>& statuses, int status) {
  return std::find(statuses.begin(), statuses.end(), status) != statuses.end();
}

}  // namespace

RegistryScope pull_scope(const std::string& repository) {
  return fmt::format("repository:{}:pull", repository);
}

RegistryClient::RegistryClient(Url url, std::unique_ptr<RegistryAuth> auth, const HttpConfig& http,
                               std::shared_ptr<UpstreamStats> stats)
    : url_(std::move(url)),
      base_(without_slash(url_.str())),
      auth_(std::move(auth)),
      retries_(http.retries),
      stats_(std::move(stats)),
      http_(without_login(http), *stats_) {}

Result<HttpAnswer> RegistryClient::ask(const RegistryQuestion& question, const Limits& limits) {
  for (int refusals = 1;; ++refusals) {
    auto authorization = this->authorization(question.scope, limits);
    if (!authorization) return fail(authorization.error());
    HttpQuestion asked{.request = request(question.target, *authorization),
                       .good = question.good,
                       .body_limit = question.body_limit,
                       .retries = retries_};
    asked.request.head = question.head;
    asked.request.headers = question.headers;
    asked.good.insert(asked.good.end(), std::begin(kOfTheRegistry), std::end(kOfTheRegistry));
    asked.limit(limits.patience, limits.begin);
    auto answer = imgcachefs::ask(http_, *stats_, asked, limits.stop);
    if (!answer) return fail(answer.error());
    const HttpHead& head = answer->head;
    if (is_among(question.good, head.status)) return answer;
    Error error = is_own(head) ? status_failure(head).error : of_elsewhere(head);
    if (head.status == 401 && is_own(head)) {
      auto again = refused(question.scope, *authorization, head);
      if (again && refusals < kMostRefusals) continue;
      if (!again) error = again.error();
    }
    if (error.kind != ErrorKind::kNotFound) stats_->failed(error);
    return fail(std::move(error));
  }
}

Result<std::string> RegistryClient::authorization(const RegistryScope& scope,
                                                  const Limits& limits) {
  if (limits.stop.stop_requested())
    return fail(ErrorKind::kCancelled, fmt::format("{}: cancelled", base_));
  return auth_->authorization(scope, limits.patience, limits.stop);
}

HttpRequest RegistryClient::request(const std::string& target,
                                    const std::string& authorization) const {
  HttpRequest request{.url = base_ + target};
  if (!authorization.empty()) request.secret_headers = {{"Authorization", authorization}};
  return request;
}

Status RegistryClient::refused(const RegistryScope& scope, const std::string& authorization,
                               const HttpHead& answer) {
  auto again = auth_->refused(scope, authorization, answer);
  // A 401 to a request that showed nothing is a question; one that ends in kDenied is counted by
  // who gives up.
  if (again && !authorization.empty()) stats_->failed(status_failure(answer).error);
  return again;
}

bool RegistryClient::is_own(const HttpHead& answer) const {
  auto url = Url::parse(answer.url);
  return url && url->same_origin(url_);
}

Error RegistryClient::of_elsewhere(const HttpHead& answer) {
  return {ErrorKind::kUnavailable,
          fmt::format("{}: HTTP status {} of where the registry has its blobs",
                      redacted_url(answer.url), answer.status)};
}

}  // namespace imgcachefs
