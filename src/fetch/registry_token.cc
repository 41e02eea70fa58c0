#include "fetch/registry_token.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/units.h"
#include "fetch/http_date.h"
#include "fetch/registry_login_secrets.h"

namespace imgcachefs {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

constexpr double kUnsaidSeconds = 60;
constexpr double kMostSeconds = 366.0 * 86400;

std::optional<std::string> member_text(const json& answer, const char* key) {
  auto it = answer.find(key);
  if (it == answer.end() || !it->is_string() || it->get_ref<const std::string&>().empty())
    return std::nullopt;
  return it->get<std::string>();
}

// Some write the number as a text.
double seconds_of_life(const json& answer) {
  double seconds = 0;
  if (auto it = answer.find("expires_in"); it != answer.end() && it->is_number())
    seconds = it->get<double>();
  else if (auto text = member_text(answer, "expires_in"))
    std::from_chars(text->data(), text->data() + text->size(), seconds);
  return seconds > 0 ? std::min(seconds, kMostSeconds) : kUnsaidSeconds;
}

// How long the server has had it already.
milliseconds age_of(const json& answer, const HttpHead& head) {
  const auto issued_at = member_text(answer, "issued_at"), date = head.header("date");
  const auto issued = issued_at ? parse_rfc3339(*issued_at) : std::nullopt;
  const auto sent = date ? parse_http_date(*date) : std::nullopt;
  if (!issued || !sent) return milliseconds(0);
  return std::max(milliseconds(0), std::chrono::floor<milliseconds>(*sent) -
                                       std::chrono::floor<milliseconds>(*issued));
}

}  // namespace

Result<RegistryToken> RegistryToken::of(const HttpAnswer& answer) {
  auto wrong = [&](std::string_view why) {
    return fail(ErrorKind::kProtocol, fmt::format("{}: the answer is none of a token server's: {}",
                                                  redacted_url(answer.head.url), why));
  };
  const json body = json::parse(answer.body, nullptr, false);
  if (!body.is_object()) return wrong("no JSON object");
  auto token = member_text(body, "token");
  if (!token) token = member_text(body, "access_token");
  if (!token) return wrong("no \"token\" and no \"access_token\" in it");
  if (!is_bearer_token(*token)) return wrong("what it calls a token cannot be one");
  const milliseconds life(static_cast<int64_t>(seconds_of_life(body) * 1000));
  const milliseconds age = age_of(body, answer.head);
  // An issued_at by which it would be over now is wrong: it has just been handed out.
  return RegistryToken{std::move(*token),
                       std::max(milliseconds(1), age < life ? life - age : life)};
}

}  // namespace imgcachefs
