#include "fetch/autoindex.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "fetch/utf8.h"

namespace imgcachefs {
namespace {

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

// The character that "&<name>;" stands for.
std::optional<unsigned> character(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, unsigned>, 6> kNamed = {
      {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}, {"nbsp", 0xA0}}};
  for (const auto& [known, code] : kNamed)
    if (name == known) return code;
  if (!name.starts_with('#')) return std::nullopt;
  name.remove_prefix(1);
  const bool hex = name.starts_with('x') || name.starts_with('X');
  if (hex) name.remove_prefix(1);
  unsigned code = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), code, hex ? 16 : 10);
  if (error != std::errc() || end != name.data() + name.size() || code == 0 || code > 0x10FFFF)
    return std::nullopt;
  return code;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

bool same_word(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) ==
                  std::tolower(static_cast<unsigned char>(y));
         });
}

// The next attribute of a tag, taken off the front of `rest`, which begins behind the tag's name;
// nullopt at the end of the tag.
std::optional<std::pair<std::string_view, std::string_view>> next_attribute(
    std::string_view& rest) {
  auto skip_blanks = [&] {
    while (!rest.empty() && is_blank(rest[0])) rest.remove_prefix(1);
  };
  auto take_until = [&](auto ends) {
    const auto end = std::find_if(rest.begin(), rest.end(), ends);
    const auto word = rest.substr(0, static_cast<size_t>(end - rest.begin()));
    rest.remove_prefix(word.size());
    return word;
  };
  while (!rest.empty() && (is_blank(rest[0]) || rest[0] == '/')) rest.remove_prefix(1);
  if (rest.empty() || rest[0] == '>') return std::nullopt;
  // A first character that ends no name is part of one, so that every call gets on.
  const char* begin = rest.data();
  rest.remove_prefix(1);
  take_until([](char c) { return is_blank(c) || c == '=' || c == '>' || c == '/'; });
  const std::string_view name(begin, static_cast<size_t>(rest.data() - begin));
  skip_blanks();
  if (rest.empty() || rest[0] != '=') return std::pair(name, std::string_view{});
  rest.remove_prefix(1);
  skip_blanks();
  if (!rest.empty() && (rest[0] == '"' || rest[0] == '\'')) {
    const char quote = rest[0];
    rest.remove_prefix(1);
    const std::string_view value = take_until([quote](char c) { return c == quote; });
    if (!rest.empty()) rest.remove_prefix(1);
    return std::pair(name, value);
  }
  return std::pair(name, take_until([](char c) { return is_blank(c) || c == '>'; }));
}

std::vector<std::string> html_links(std::string_view text) {
  std::vector<std::string> links;
  for (size_t at = text.find('<'); at != std::string_view::npos; at = text.find('<', at + 1)) {
    std::string_view rest = text.substr(at + 1);
    if (rest.size() < 2 || (rest[0] != 'a' && rest[0] != 'A') || !is_blank(rest[1])) continue;
    rest.remove_prefix(1);
    while (auto attribute = next_attribute(rest))
      if (same_word(attribute->first, "href")) links.push_back(html_unescape(attribute->second));
  }
  return links;
}

// nginx writes the bytes of names as they are, and JSON that is not UTF-8 does not parse: one bad
// name would hide all others. Each bad byte becomes a control character, which no ImageId has.
std::string without_bad_bytes(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t n = utf8_length(text);
    if (n > 0)
      out += text.substr(0, n);
    else
      out += "\\u0001";
    text.remove_prefix(n > 0 ? n : 1);
  }
  return out;
}

// nginx: [{"name": ..., "type": "file"}, ...]
Result<std::vector<std::string>> json_names(std::string_view text) {
  const auto json = nlohmann::json::parse(without_bad_bytes(text), nullptr, false);
  if (!json.is_array()) return fail(ErrorKind::kProtocol, "a listing that is no JSON array");
  std::vector<std::string> names;
  for (const auto& entry : json) {
    if (!entry.is_object()) continue;
    const auto name = entry.find("name"), type = entry.find("type");
    if (name == entry.end() || !name->is_string()) continue;
    if (type != entry.end() && *type != "file") continue;
    names.push_back(name->get<std::string>());
  }
  return names;
}

}  // namespace

std::string html_unescape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (text[0] == '&') {
      const size_t semicolon = text.substr(0, 12).find(';');
      if (semicolon != std::string_view::npos) {
        if (auto code = character(text.substr(1, semicolon - 1))) {
          append_utf8(out, *code);
          text.remove_prefix(semicolon + 1);
          continue;
        }
      }
    }
    out += text[0];
    text.remove_prefix(1);
  }
  return out;
}

Result<std::vector<ImageId>> parse_autoindex(std::string_view text, std::string_view content_type,
                                             const Url& directory) {
  std::vector<std::string> names;
  if (content_type.find("json") != std::string_view::npos) {
    auto listed = json_names(text);
    if (!listed) return fail(listed.error());
    names = std::move(*listed);
  } else {
    for (const std::string& link : html_links(text))
      if (auto name = name_under(directory, link)) names.push_back(std::move(*name));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<ImageId> ids;
  for (const std::string& name : names)
    if (auto id = ImageId::parse(name)) ids.push_back(std::move(*id));
  return ids;
}

}  // namespace imgcachefs
