#include "fs/xattrs.h"

#include <algorithm>

namespace imgcachefs {
namespace {

constexpr std::string_view kPrefix = "user.imgcachefs.";

void add(Xattrs& xattrs, std::string_view name, std::string value) {
  xattrs.emplace_back(std::string(kPrefix).append(name), std::move(value));
}

}  // namespace

Xattrs image_xattrs(const ImageDetails& details) {
  Xattrs xattrs;
  add(xattrs, "state", std::string(to_string(details.state)));
  add(xattrs, "cached_bytes", std::to_string(details.cached_bytes));
  add(xattrs, "hits", std::to_string(details.hits));
  if (details.last_accessed) add(xattrs, "last_accessed", rfc3339(*details.last_accessed));
  if (details.checksum) add(xattrs, "checksum", details.checksum->tagged());
  add(xattrs, "verified", details.verified ? "1" : "0");
  add(xattrs, "pinned", details.pinned ? "1" : "0");
  if (!details.error.empty()) add(xattrs, "error", details.error);
  return xattrs;
}

Xattrs root_xattrs(const MountFacts& facts) {
  Xattrs xattrs;
  add(xattrs, "cache_dir", facts.cache_dir);
  add(xattrs, "source", facts.source);
  add(xattrs, "version", facts.version);
  return xattrs;
}

bool is_our_xattr(std::string_view name) {
  return name.starts_with(kPrefix);
}

const std::string* find_xattr(const Xattrs& xattrs, std::string_view name) {
  auto found = std::find_if(xattrs.begin(), xattrs.end(),
                            [&](const auto& xattr) { return xattr.first == name; });
  return found == xattrs.end() ? nullptr : &found->second;
}

std::string xattr_list(const Xattrs& xattrs) {
  std::string names;
  for (const auto& [name, value] : xattrs) names.append(name).push_back('\0');
  return names;
}

}  // namespace imgcachefs
