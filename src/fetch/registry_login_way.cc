#include "fetch/registry_login_way.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/log.h"
#include "fetch/auth_challenge.h"
#include "fetch/url.h"

namespace imgcachefs {
namespace {

constexpr size_t kLongestScope = 4 << 10;

RegistryWay bearer_way(const AuthChallenge& challenge) {
  RegistryWay way{.scheme = RegistryWay::Scheme::kBearer,
                  .service = challenge.get("service"),
                  .error = challenge.get("error")};
  // A token server with a user in its URL would get a secret that is not ours to send.
  if (auto url = Url::parse(challenge.get("realm")); url && url->user_info.empty())
    way.realm = url->str();
  if (const std::string& scope = challenge.get("scope"); scope.size() <= kLongestScope)
    way.scope = scope;
  return way;
}

}  // namespace

Result<RegistryWay> RegistryWay::of(const HttpHead& answer) {
  std::optional<RegistryWay> basic, bearer;
  std::string others;
  for (const AuthChallenge& challenge : challenges_of(answer)) {
    if (challenge.scheme == "bearer") {
      auto way = bearer_way(challenge);
      if (!way.realm.empty()) return way;
      if (!bearer) bearer = std::move(way);
    } else if (challenge.scheme == "basic") {
      basic = RegistryWay{.scheme = Scheme::kBasic};
    } else {
      others += (others.empty() ? "" : ", ") + challenge.scheme;
    }
  }
  if (basic) return *basic;
  if (bearer) return *bearer;
  return fail(
      ErrorKind::kDenied,
      fmt::format("{}: HTTP status {}: {}", redacted_url(answer.url), answer.status,
                  others.empty() ? "the registry does not say how to log in"
                                 : fmt::format("the registry wants a login by {}, which is none of "
                                               "Basic and Bearer",
                                               others)));
}

}  // namespace imgcachefs
