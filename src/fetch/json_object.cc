#include "fetch/json_object.h"

#include <limits>
#include <set>
#include <vector>

namespace imgcachefs {
namespace {

using nlohmann::json;

// An image record in a list in a page, with room for what versions to come may add.
constexpr int kDeepest = 16;

// Looked at before parsing: a parser's memory grows with the depth.
bool is_deep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kDeepest) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

Result<json> parse_json_object(std::string_view text) {
  if (is_deep(text)) return fail(ErrorKind::kProtocol, "JSON that is nested too deep");
  std::vector<std::set<std::string>> keys;
  bool twice = false;
  auto watch = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key)
      twice = !keys.back().insert(parsed.get<std::string>()).second || twice;
    return true;
  };
  json value = json::parse(text.begin(), text.end(), watch, false);
  if (value.is_discarded()) return fail(ErrorKind::kProtocol, "not JSON");
  if (twice) return fail(ErrorKind::kProtocol, "JSON with the same key twice");
  if (!value.is_object()) return fail(ErrorKind::kProtocol, "JSON that is no object");
  return value;
}

std::string JsonFields::text(const char* name) {
  const json* field = find(name);
  if (field == nullptr) return "";
  if (!field->is_string()) return wrong(name), "";
  return field->get<std::string>();
}

std::optional<uint64_t> JsonFields::number(const char* name) {
  const json* field = find(name);
  if (field == nullptr) return std::nullopt;
  if (!field->is_number_unsigned() ||
      field->get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
    return wrong(name), std::nullopt;
  return field->get<uint64_t>();
}

std::optional<WallTime> JsonFields::time(const char* name) {
  const std::string text = this->text(name);
  if (text.empty()) return std::nullopt;
  auto time = parse_rfc3339(text);
  if (!time) wrong(name);
  return time;
}

const json* JsonFields::array(const char* name) {
  const json* field = find(name);
  if (field == nullptr || field->is_array()) return field;
  return wrong(name), nullptr;
}

const json* JsonFields::object(const char* name) {
  const json* field = find(name);
  if (field == nullptr || field->is_object()) return field;
  return wrong(name), nullptr;
}

const json* JsonFields::find(const char* name) const {
  auto at = object_.find(name);
  return at == object_.end() || at->is_null() ? nullptr : &*at;
}

}  // namespace imgcachefs
