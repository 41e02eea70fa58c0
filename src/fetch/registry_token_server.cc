#include "fetch/registry_token_server.h"

#include <fmt/format.h>

#include <utility>

#include "base/base64.h"
#include "base/log.h"
#include "fetch/http_answer.h"
#include "fetch/login_error.h"

namespace imgcachefs {
namespace {

constexpr size_t kLongestTokenAnswer = 1 << 20;

void add_pair(std::string& form, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  if (!form.empty()) form += '&';
  form += fmt::format("{}={}", name, percent_encode(value));
}

// Each scope is a parameter of its own.
HttpRequest get_request(const TokenQuestion& question) {
  std::string form;
  add_pair(form, "service", question.way.service);
  for (std::string_view left = question.scope; !left.empty();) {
    const std::string_view one = left.substr(0, left.find(' '));
    left.remove_prefix(std::min(one.size() + 1, left.size()));
    add_pair(form, "scope", std::string(one));
  }
  HttpRequest request{.url = question.way.realm};
  if (const RegistrySecrets& secrets = question.secrets; secrets.has_password()) {
    add_pair(form, "account", secrets.username);
    request.secret_headers = {
        {"Authorization", "Basic " + base64_encode(secrets.username + ":" + secrets.password)}};
  }
  if (!form.empty()) request.url += (request.url.find('?') == std::string::npos ? '?' : '&') + form;
  return request;
}

HttpRequest post_request(const TokenQuestion& question) {
  std::string form = "grant_type=refresh_token&client_id=imgcachefs";
  add_pair(form, "service", question.way.service);
  add_pair(form, "scope", question.scope);
  add_pair(form, "refresh_token", question.secrets.identity_token);
  return {.url = question.way.realm,
          .post = std::move(form),
          .post_type = "application/x-www-form-urlencoded"};
}

}  // namespace

RegistryTokenServer::RegistryTokenServer(Url registry, HttpConfig http)
    : registry_(std::move(registry)), retries_(http.retries), client_(std::move(http), stats_) {}

tl::expected<RegistryToken, TokenFailure> RegistryTokenServer::ask(const TokenQuestion& question,
                                                                   std::stop_token stop) {
  auto denied = [&](std::string message, bool of_secrets) {
    return tl::unexpected(TokenFailure{{ErrorKind::kDenied, std::move(message)}, of_secrets});
  };
  const std::string &realm = question.way.realm, registry = registry_.str();
  if (realm.empty())
    return denied(fmt::format("{} wants a token and names no token server", registry), false);
  const RegistrySecrets& secrets = question.secrets;
  if (!secrets.empty() && registry_.scheme == "https" && !realm.starts_with("https:"))
    return denied(
        fmt::format("{} names a token server without encryption, {}: it does not get the login of "
                    "{}",
                    registry, redacted_url(realm), secrets.whence),
        false);

  const bool post = !secrets.identity_token.empty();
  HttpQuestion asked{.request = post ? post_request(question) : get_request(question),
                     .good = {200, 201, 400, 401, 403},
                     .body_limit = kLongestTokenAnswer,
                     .retries = retries_};
  asked.limit(question.patience, question.begin);
  auto answer = imgcachefs::ask(client_, stats_, asked, std::move(stop));
  if (!answer)
    return tl::unexpected(TokenFailure{login_error(answer.error(), "there is no token server")});

  const int status = answer->head.status;
  const std::string shown = fmt::format("{}: HTTP status {}", redacted_url(realm), status);
  if (status == 401 || (status == 400 && post)) {  // RFC 6749 section 5.2: invalid_grant is a 400
    if (secrets.empty())
      return denied(fmt::format("{}: no token for '{}' without a login", shown, question.scope),
                    true);
    return denied(fmt::format("{}: the token server does not let us in with the login of {}", shown,
                              secrets.whence),
                  true);
  }
  if (status == 403)
    return denied(fmt::format("{}: no token for '{}'", shown, question.scope), false);
  if (status == 400) return tl::unexpected(TokenFailure{{ErrorKind::kProtocol, shown}});
  auto token = RegistryToken::of(*answer);
  if (!token) return tl::unexpected(TokenFailure{token.error()});
  return std::move(*token);
}

}  // namespace imgcachefs
