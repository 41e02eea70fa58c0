#include "fs/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/log.h"

namespace imgcachefs {
namespace {

bool has_scheme(const std::string& source, std::string_view scheme) {
  return source.starts_with(scheme);
}

}  // namespace

Status check_source(const std::string& source) {
  const std::string shown = redacted_url(source);
  for (std::string_view later :
       {"glance+http://", "glance+https://", "glance:", "oci+http://", "oci+https://"})
    if (has_scheme(source, later))
      return fail(ErrorKind::kInvalid,
                  fmt::format("SOURCE '{}': {} is not supported by this version", shown, later));
  if (!has_scheme(source, "http://") && !has_scheme(source, "https://"))
    return fail(ErrorKind::kInvalid,
                fmt::format("SOURCE '{}' is not http://HOST/DIR/ or https://HOST/DIR/", shown));

  const size_t host = source.find("://") + 3;
  const std::string authority = source.substr(host, source.find_first_of("/?#", host) - host);
  if (authority.find('@') != std::string::npos)
    return fail(ErrorKind::kInvalid,
                fmt::format("SOURCE '{}' holds a user or password: put them in a file and give "
                            "credentials=FILE",
                            shown));
  if (authority.empty() || authority[0] == ':')
    return fail(ErrorKind::kInvalid, fmt::format("SOURCE '{}' names no host", shown));
  if (source.find_first_of("?#", host) != std::string::npos)
    return fail(ErrorKind::kInvalid,
                fmt::format("SOURCE '{}' is no directory: it has a query or fragment", shown));
  if (std::any_of(source.begin(), source.end(),
                  [](unsigned char c) { return c <= ' ' || c == 0x7f; }))
    return fail(ErrorKind::kInvalid, "SOURCE holds blanks or control characters");
  return {};
}

}  // namespace imgcachefs
