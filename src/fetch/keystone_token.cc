#include "fetch/keystone_token.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/units.h"

namespace imgcachefs {
namespace {

using std::chrono::milliseconds;

// "2026-11-20T05:53:05.000000Z". In milliseconds: no two of them are too far apart for a
// difference.
std::optional<std::chrono::sys_time<milliseconds>> time_at(const nlohmann::json& token,
                                                           const char* key) {
  auto it = token.find(key);
  if (it == token.end() || !it->is_string()) return std::nullopt;
  const auto time = parse_rfc3339(it->get_ref<const std::string&>());
  if (!time) return std::nullopt;
  return std::chrono::floor<milliseconds>(*time);
}

// What can be sent in a header.
bool is_token(std::string_view text) {
  constexpr size_t kLongest = 64 << 10;
  return !text.empty() && text.size() <= kLongest &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

Result<KeystoneToken> KeystoneToken::of(const HttpAnswer& answer) {
  auto wrong = [&](ErrorKind kind, std::string_view why) {
    return fail(kind, fmt::format("{}: {}", redacted_url(answer.head.url), why));
  };
  const auto header = answer.head.header("x-subject-token");
  const nlohmann::json body = nlohmann::json::parse(answer.body, nullptr, false);
  if (!body.is_object() || !body.contains("token") || !body["token"].is_object())
    return wrong(ErrorKind::kProtocol, "the answer is none of Keystone's: no \"token\" in it");
  if (!header || !is_token(*header))
    return wrong(ErrorKind::kProtocol, "the answer is none of Keystone's: no X-Subject-Token");
  const nlohmann::json& token = body["token"];
  const auto issued = time_at(token, "issued_at"), expires = time_at(token, "expires_at");
  if (!issued || !expires)
    return wrong(ErrorKind::kProtocol, "Keystone's token has no issued_at and expires_at");
  if (*expires <= *issued)
    return wrong(ErrorKind::kProtocol, "Keystone's token is over before it begins");
  if (auto project = token.find("project"); project == token.end() || !project->is_object())
    return wrong(ErrorKind::kDenied, "Keystone's token has no project: Glance would show nothing");
  return KeystoneToken{*header, *expires - *issued, ServiceCatalogue::of(token)};
}

}  // namespace imgcachefs
