// The few things we need of URLs beside what libcurl does: percent-encoding, where a URL leads to,
// and names under a directory. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imgcachefs {

// An absolute http or https URL, in its parts.
struct Url {
  std::string scheme;  // lower case
  std::string user_info;
  std::string host;  // lower case; an IPv6 address in its brackets
  uint16_t port = 0;
  std::string path;   // percent-encoded, begins with '/'
  std::string query;  // without '?'

  // kInvalid when it is none. A fragment is dropped; characters in path and query that no URL can
  // hold are percent-encoded.
  static Result<Url> parse(std::string_view text);
  std::string str() const;  // without user information

  bool same_origin(const Url& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
  }
};

// `text` as one segment of a path: all but RFC 3986's unreserved characters encoded.
std::string percent_encode(std::string_view text);
// nullopt when a '%' is not followed by two hex digits, or for %00.
std::optional<std::string> percent_decode(std::string_view text);

// The name in the directory `directory` (whose path ends in '/') that the reference `link` in one
// of its pages leads to, decoded; nullopt when it leads elsewhere: to another host or directory, to
// a subdirectory, or anything with a query.
std::optional<std::string> name_under(const Url& directory, std::string_view link);

}  // namespace imgcachefs
