#include "fetch/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace imgcachefs {
namespace {

bool is_alnum(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  });
  return out;
}

template <typename Keep>
std::string encode(std::string_view text, Keep keep) {
  std::string out;
  for (unsigned char c : text) {
    if (keep(c))
      out += static_cast<char>(c);
    else
      out += fmt::format("%{:02X}", c);
  }
  return out;
}

// What a user typed, made fit to be sent; existing escapes stay as they are.
std::string tidy(std::string_view text) {
  constexpr std::string_view kAllowed = "-._~:/?@!$&'()*+,;=%[]";
  return encode(text, [&](unsigned char c) {
    return is_alnum(c) || kAllowed.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

std::optional<uint16_t> port_of(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

bool has_scheme(std::string_view link) {
  const size_t colon = link.find_first_of(":/?#");
  return colon != std::string_view::npos && colon > 0 && link[colon] == ':' &&
         std::all_of(
             link.begin(), link.begin() + static_cast<std::ptrdiff_t>(colon),
             [](unsigned char c) { return is_alnum(c) || c == '+' || c == '-' || c == '.'; });
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return fail(ErrorKind::kInvalid, fmt::format("not a usable URL: {}", why));
  };
  Url url;
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos) return bad("no http:// or https://");
  url.scheme = lower(text.substr(0, colon));
  if (url.scheme != "http" && url.scheme != "https")
    return bad(fmt::format("'{}' is neither http nor https", url.scheme));
  text.remove_prefix(colon + 3);
  text = text.substr(0, text.find('#'));

  const size_t authority_end = std::min(text.find_first_of("/?"), text.size());
  std::string_view authority = text.substr(0, authority_end);
  text.remove_prefix(authority_end);
  if (size_t at = authority.rfind('@'); at != std::string_view::npos) {
    url.user_info = authority.substr(0, at);
    authority.remove_prefix(at + 1);
  }
  // In "[::1]:80" only a colon behind the bracket begins the port.
  const size_t bracket = authority.starts_with('[') ? authority.find(']') : 0;
  if (bracket == std::string_view::npos) return bad("'[' without ']'");
  const size_t port_at = authority.find(':', bracket);
  url.host = lower(authority.substr(0, port_at));
  if (url.host.empty() || url.host == "[]") return bad("no host");
  if (url.host.find_first_of(" \t\r\n\\%<>\"") != std::string::npos)
    return bad("a host name cannot be so");
  url.port = url.scheme == "https" ? 443 : 80;
  if (port_at != std::string_view::npos && port_at + 1 < authority.size()) {
    auto port = port_of(authority.substr(port_at + 1));
    if (!port) return bad("the port is no number from 1 to 65535");
    url.port = *port;
  }

  const size_t question = text.find('?');
  url.path = tidy(text.substr(0, question));
  if (url.path.empty()) url.path = "/";
  if (question != std::string_view::npos) url.query = tidy(text.substr(question + 1));
  return url;
}

std::string Url::str() const {
  std::string out = scheme + "://" + host;
  if (port != (scheme == "https" ? 443 : 80)) out += fmt::format(":{}", port);
  out += path;
  if (!query.empty()) out += "?" + query;
  return out;
}

std::string percent_encode(std::string_view text) {
  return encode(text, [](unsigned char c) {
    return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
  });
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
    if (error != std::errc() || end != text.data() + i + 3 || value == 0) return std::nullopt;
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

std::optional<std::string> name_under(const Url& directory, std::string_view link) {
  link = link.substr(0, link.find('#'));
  if (link.find('?') != std::string_view::npos) return std::nullopt;
  std::string path;
  if (has_scheme(link) || link.starts_with("//")) {
    auto url = Url::parse(link.starts_with("//") ? directory.scheme + ":" + std::string(link)
                                                 : std::string(link));
    if (!url || !url->same_origin(directory)) return std::nullopt;
    path = url->path;
  } else if (link.starts_with('/')) {
    path = link;
  } else {
    while (link.starts_with("./")) link.remove_prefix(2);
    path = directory.path + std::string(link);
  }
  // Compared decoded: servers and users differ in what they encode.
  auto decoded = percent_decode(path), parent = percent_decode(directory.path);
  if (!decoded || !parent || !decoded->starts_with(*parent)) return std::nullopt;
  std::string name = decoded->substr(parent->size());
  if (name.empty() || name.find('/') != std::string::npos) return std::nullopt;
  return name;
}

}  // namespace imgcachefs
