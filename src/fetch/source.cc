#include "fetch/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/log.h"
#include "fetch/url.h"

namespace imgcachefs {
namespace {

bool is_http(std::string_view url) {
  return url.starts_with("http://") || url.starts_with("https://");
}

// Of the URL inside a SOURCE. `shown` is the SOURCE as it may be repeated.
Status check_url(const std::string& url, const std::string& shown) {
  auto invalid = [&](std::string_view why) {
    return fail(ErrorKind::kInvalid, fmt::format("SOURCE '{}' {}", shown, why));
  };
  const size_t host = url.find("://") + 3;
  const std::string authority = url.substr(host, url.find_first_of("/?#", host) - host);
  if (authority.find('@') != std::string::npos)
    return invalid("holds a user or password: put them in a file and give credentials=FILE");
  if (authority.empty() || authority[0] == ':') return invalid("names no host");
  if (url.find_first_of("?#", host) != std::string::npos)
    return invalid("is no directory: it has a query or fragment");
  if (std::any_of(url.begin(), url.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; }))
    return fail(ErrorKind::kInvalid, "SOURCE holds blanks or control characters");
  return {};
}

// A registry is where it is, and its repositories are below: Docker Hub's API is at another name
// than the one images have there.
Result<std::string> registry_url(const std::string& text, const std::string& shown) {
  auto url = Url::parse(text);
  if (!url) return fail(url.error().in(fmt::format("SOURCE '{}'", shown)));
  if (url->path != "/")
    return fail(ErrorKind::kInvalid,
                fmt::format("SOURCE '{}' has the path '{}': a registry is mounted as a whole, its "
                            "repositories are directories",
                            shown, url->path));
  const bool hub = url->host == "docker.io" || url->host == "index.docker.io";
  if (hub && url->scheme == "https" && url->port == 443) url->host = "registry-1.docker.io";
  std::string out = url->str();
  out.pop_back();  // the path
  return out;
}

std::string without_end(std::string url, std::string_view end) {
  if (url.ends_with(end)) url.resize(url.size() - end.size());
  return url;
}

}  // namespace

Result<Source> Source::parse(const std::string& text) {
  const std::string shown = redacted_url(text);
  constexpr std::string_view kGlancePrefix = "glance+",
                             kCataloguedPrefix = "glance:", kRegistryPrefix = "oci+";
  Source source{Kind::kDirectory, text};
  if (text.starts_with(kGlancePrefix))
    source = {Kind::kGlance, text.substr(kGlancePrefix.size())};
  else if (text.starts_with(kCataloguedPrefix))
    source = {Kind::kCataloguedGlance, text.substr(kCataloguedPrefix.size())};
  else if (text.starts_with(kRegistryPrefix))
    source = {Kind::kRegistry, text.substr(kRegistryPrefix.size())};
  if (source.kind == Kind::kCataloguedGlance && source.url.empty()) return source;
  if (!is_http(source.url))
    return fail(ErrorKind::kInvalid,
                fmt::format("SOURCE '{}' is none of http[s]://HOST/DIR/, glance+http[s]://HOST, "
                            "glance: and oci+http[s]://HOST",
                            shown));
  if (auto good = check_url(source.url, shown); !good) return fail(good.error());

  if (source.kind == Kind::kRegistry) {
    auto url = registry_url(source.url, shown);
    if (!url) return fail(url.error());
    source.url = std::move(*url);
  } else if (source.kind == Kind::kDirectory) {
    if (!source.url.ends_with('/')) source.url += '/';
  } else {
    while (source.url.ends_with('/')) source.url.pop_back();
    source.url = without_end(source.url, source.kind == Kind::kGlance ? "/v2" : "/v3");
  }
  return source;
}

}  // namespace imgcachefs
