#include "support/token_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "base/base64.h"
#include "base/units.h"
#include "support/form.h"
#include "support/token_signer.h"

namespace imgcachefs::test {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

std::vector<std::string> parts(std::string_view text, char by) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(by));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
    if (!one.empty()) out.emplace_back(one);
  }
  return out;
}

// type, name, actions; the name may hold colons.
struct ScopeParts {
  std::string type, name;
  std::vector<std::string> actions;
};
std::optional<ScopeParts> scope_parts(const std::string& scope) {
  const size_t first = scope.find(':'), last = scope.rfind(':');
  if (first == std::string::npos || last == first) return std::nullopt;
  return ScopeParts{scope.substr(0, first), scope.substr(first + 1, last - first - 1),
                    parts(scope.substr(last + 1), ',')};
}

Behaviour refusal(const json& body) {
  Behaviour how = Behaviour::of_status(401);
  how.body = body.dump();
  how.headers = {{"WWW-Authenticate", "Basic realm=\"token\""}};
  return how;
}

}  // namespace

TokenServer::TokenServer(TokenServerOptions options)
    : options_(std::move(options)),
      life_(options_.life),
      users_(options_.users),
      server_(options_.http) {
  if (!options_.issuer.empty()) signer_ = std::make_unique<TokenSigner>(cert_file());
  honest();
}

TokenServer::~TokenServer() = default;

void TokenServer::honest() {
  server_.clear_faults();
  server_.on_request([this](const Request& request) { return answer(request); });
}

std::string TokenServer::cert_file() const {
  return dir_.file("token.crt");
}

std::string TokenServer::challenge(const std::string& scope, const std::string& error) const {
  std::string out = fmt::format("Bearer realm=\"{}\",service=\"{}\"", realm(), options_.service);
  if (!scope.empty()) out += fmt::format(",scope=\"{}\"", scope);
  if (!error.empty()) out += fmt::format(",error=\"{}\"", error);
  return out;
}

void TokenServer::life(std::chrono::milliseconds life) {
  std::lock_guard lock(mutex_);
  life_ = life;
}

void TokenServer::users(std::vector<TokenUser> users) {
  std::lock_guard lock(mutex_);
  users_ = std::move(users);
}

bool TokenServer::allows(const std::string& authorization, const std::string& scope) const {
  if (!knows(authorization)) return false;
  std::lock_guard lock(mutex_);
  const auto& grants = given_.at(authorization.substr(7)).grants;
  const auto wanted = scope_parts(scope);
  return !wanted || std::all_of(wanted->actions.begin(), wanted->actions.end(), [&](const auto& a) {
    return std::find(grants.begin(), grants.end(), wanted->type + ":" + wanted->name + ":" + a) !=
           grants.end();
  });
}

bool TokenServer::knows(const std::string& authorization) const {
  std::lock_guard lock(mutex_);
  if (!authorization.starts_with("Bearer ")) return false;
  auto it = given_.find(authorization.substr(7));
  return it != given_.end() && Clock::now() < it->second.end;
}

void TokenServer::revoke_all() {
  std::lock_guard lock(mutex_);
  given_.clear();
}

std::vector<TokenRequest> TokenServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

std::vector<std::string> TokenServer::granted(const std::string& user,
                                              const std::vector<std::string>& scopes) const {
  std::vector<std::string> out;
  for (const std::string& scope : scopes) {
    const auto asked = scope_parts(scope);
    if (!asked) continue;
    for (const std::string& action : asked->actions) {
      const bool may = options_.may ? options_.may(user, asked->name, action)
                                    : !user.empty() || (action == "pull" &&
                                                        !asked->name.starts_with("private/"));
      if (may) out.push_back(asked->type + ":" + asked->name + ":" + action);
    }
  }
  return out;
}

// Whose request it is; null: nobody's, who should have been somebody.
const TokenUser* TokenServer::user_of(const TokenRequest& request,
                                      const std::string& authorization) const {
  static const TokenUser anonymous;
  auto asked = [&](const std::string& name) {
    auto it = request.asked.find(name);
    return it == request.asked.end() ? "" : it->second;
  };
  std::function<bool(const TokenUser&)> is;
  if (request.method == "POST" && asked("grant_type") == "refresh_token") {
    is = [&](const TokenUser& user) {
      return !user.identity.empty() && user.identity == asked("refresh_token");
    };
  } else if (request.method == "POST") {
    is = [&](const TokenUser& user) {
      return asked("grant_type") == "password" && user.name == asked("username") &&
             user.password == asked("password");
    };
  } else if (!authorization.empty()) {
    is = [&](const TokenUser& user) {
      return authorization == "Basic " + base64_encode(user.name + ":" + user.password);
    };
  } else {
    return &anonymous;
  }
  auto it = std::find_if(users_.begin(), users_.end(), is);
  return it == users_.end() ? nullptr : &*it;
}

Behaviour TokenServer::answer(const Request& request) {
  std::lock_guard lock(mutex_);
  if (request.path != "/token") return Behaviour::of_status(404);
  const bool post = request.method == "POST";
  TokenRequest record{.method = request.method, .user = "", .asked = {}, .scopes = {}};
  if (post && request.header("content-type") != "application/x-www-form-urlencoded")
    return Behaviour::of_status(415);
  const size_t mark = std::min(request.target.find('?'), request.target.size() - 1);
  for (const auto& [name, value] :
       form_fields(post ? request.body : request.target.substr(mark + 1))) {
    if (name == "scope")
      for (std::string& one : parts(value, ' ')) record.scopes.push_back(std::move(one));
    else
      record.asked[name] = value;
  }
  const TokenUser* user = user_of(record, request.header("authorization"));
  if (user == nullptr) {
    requests_.push_back(std::move(record));
    return refusal(post ? json{{"error", "invalid_grant"}}
                        : json{{"errors", {{{"code", "UNAUTHORIZED"}}}}});
  }
  record.user = user->name;
  record.given = true;
  requests_.push_back(record);

  const auto grants = granted(user->name, record.scopes);
  const auto now = std::chrono::system_clock::now();
  const auto life = std::chrono::duration<double>(life_);
  ++number_;
  std::string token = fmt::format("token-{}", number_);
  if (signer_) {
    json access = json::array();
    for (const std::string& grant : grants) {
      const auto one = scope_parts(grant);
      access.push_back({{"type", one->type}, {"name", one->name}, {"actions", one->actions}});
    }
    const auto unix_now = static_cast<int64_t>(to_unix(now));
    token = signer_->sign({{"iss", options_.issuer},
                           {"sub", user->name},
                           {"aud", record.asked["service"]},
                           {"exp", unix_now + static_cast<int64_t>(life.count())},
                           {"nbf", unix_now - 10},
                           {"iat", unix_now},
                           {"jti", std::to_string(number_)},
                           {"access", access}});
  } else {
    given_[token] = {grants, Clock::now() + life_};
  }
  json body = {{"access_token", token}, {"issued_at", rfc3339(now)}};
  // A whole number where it is one, as real servers have it.
  if (life_.count() % 1000 == 0)
    body["expires_in"] = life_.count() / 1000;
  else
    body["expires_in"] = life.count();
  if (!post) body["token"] = token;
  Behaviour how = Behaviour::of_status(200);
  how.body = body.dump();
  return how;
}

}  // namespace imgcachefs::test
