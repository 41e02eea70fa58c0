#include "fetch/keystone_login.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "fetch/url.h"
#include "fetch/utf8.h"

namespace imgcachefs {
namespace {

using nlohmann::json;

Result<std::string> tokens_url(const std::string& auth_url) {
  auto invalid = [&](std::string_view why) {
    return fail(ErrorKind::kInvalid, fmt::format("auth_url '{}' {}", redacted_url(auth_url), why));
  };
  auto url = Url::parse(auth_url);
  if (!url) return invalid("is no http or https URL");
  if (!url->user_info.empty()) return invalid("holds a user or password");
  if (!url->query.empty()) return invalid("has a query");
  std::string text = url->str();
  auto drop_slashes = [&text] {
    while (text.ends_with('/')) text.pop_back();
  };
  drop_slashes();
  if (text.ends_with("/v2.0")) return invalid("is of Keystone v2, which is not supported: use v3");
  if (text.ends_with("/v3")) text.resize(text.size() - 3);
  drop_slashes();
  return text + "/v3/auth/tokens";
}

// `prefix` is "user" or "project".
json domain_of(const Credentials& secrets, const std::string& prefix) {
  const std::string &id = secrets.get(prefix + "_domain_id"),
                    &name = secrets.get(prefix + "_domain_name");
  if (id.empty() && !name.empty()) return {{"name", name}};
  return {{"id", id.empty() ? "default" : id}};
}

bool has_user(const Credentials& secrets) {
  return !secrets.get("username").empty() || !secrets.get("user_id").empty();
}

json user_of(const Credentials& secrets) {
  if (const std::string& id = secrets.get("user_id"); !id.empty()) return {{"id", id}};
  return {{"name", secrets.get("username")}, {"domain", domain_of(secrets, "user")}};
}

std::string shown_user(const Credentials& secrets) {
  const std::string& id = secrets.get("user_id");
  return fmt::format("user '{}'", id.empty() ? secrets.get("username") : id);
}

json project_of(const Credentials& secrets) {
  if (const std::string& id = secrets.get("project_id"); !id.empty()) return {{"id", id}};
  return {{"name", secrets.get("project_name")}, {"domain", domain_of(secrets, "project")}};
}

tl::unexpected<Error> missing(std::string_view what) {
  return fail(ErrorKind::kInvalid, fmt::format("credentials for Keystone: {}", what));
}

// The block "auth", and who it is.
using Who = std::pair<json, std::string>;

Result<Who> by_password(const Credentials& secrets) {
  if (!has_user(secrets)) return missing("username (or user_id) is missing");
  if (secrets.get("password").empty()) return missing("password is missing");
  if (secrets.get("project_name").empty() && secrets.get("project_id").empty())
    return missing("project_name (or project_id) is missing: Glance shows nothing without one");
  json user = user_of(secrets);
  user["password"] = secrets.get("password");
  json auth = {{"identity", {{"methods", {"password"}}, {"password", {{"user", user}}}}},
               {"scope", {{"project", project_of(secrets)}}}};
  return Who{std::move(auth), shown_user(secrets)};
}

Result<Who> by_application_credential(const Credentials& secrets) {
  const std::string &id = secrets.get("application_credential_id"),
                    &name = secrets.get("application_credential_name"),
                    &secret = secrets.get("application_credential_secret");
  if (secret.empty()) return missing("application_credential_secret is missing");
  json credential = {{"secret", secret}};
  std::string who;
  if (!id.empty()) {
    credential["id"] = id;
    who = fmt::format("application credential {}", id);
  } else if (name.empty()) {
    return missing("application_credential_id (or application_credential_name) is missing");
  } else if (!has_user(secrets)) {
    return missing("username (or user_id), whose application_credential_name it is, is missing");
  } else {
    credential["name"] = name;
    credential["user"] = user_of(secrets);
    who = fmt::format("application credential '{}' of {}", name, shown_user(secrets));
  }
  json auth = {{"identity",
                {{"methods", {"application_credential"}}, {"application_credential", credential}}}};
  return Who{std::move(auth), std::move(who)};
}

}  // namespace

Result<KeystoneLogin> KeystoneLogin::of(const Credentials& secrets) {
  bool is_application_credential = false;
  for (const char* key : {"application_credential_id", "application_credential_name",
                          "application_credential_secret"})
    is_application_credential |= !secrets.get(key).empty();
  // What is no text could not be said in JSON.
  for (const char* key :
       {"username", "user_id", "password", "user_domain_name", "user_domain_id", "project_name",
        "project_id", "project_domain_name", "project_domain_id", "application_credential_id",
        "application_credential_name", "application_credential_secret"})
    if (!is_utf8(secrets.get(key)))
      return fail(ErrorKind::kInvalid,
                  fmt::format("credentials for Keystone: {} is not UTF-8", key));
  if (secrets.get("auth_url").empty()) return missing("auth_url is missing");
  auto url = tokens_url(secrets.get("auth_url"));
  if (!url) return fail(url.error());

  if (is_application_credential && !secrets.get("password").empty())
    return fail(ErrorKind::kInvalid,
                "credentials for Keystone: both a password and an application credential");
  if (!secrets.get("token").empty())
    return fail(ErrorKind::kInvalid,
                "credentials for Keystone: a token has an end that Keystone cannot put off: give a "
                "password or an application credential instead of it");
  auto who = is_application_credential ? by_application_credential(secrets) : by_password(secrets);
  if (!who) return fail(who.error());
  return KeystoneLogin{std::move(*url), json{{"auth", std::move(who->first)}}.dump(),
                       std::move(who->second)};
}

}  // namespace imgcachefs
