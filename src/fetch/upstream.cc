#include "fetch/upstream.h"

namespace imgcachefs {

bool Validator::same_version(const Validator& other) const {
  auto differ = [](const std::string& a, const std::string& b) {
    return !a.empty() && !b.empty() && a != b;
  };
  // "W/" says how equality was decided, not what is equal: servers add it on the way (RFC 9110
  // section 8.8.3.2, weak comparison).
  auto opaque = [](const std::string& etag) {
    return etag.starts_with("W/") ? etag.substr(2) : etag;
  };
  return !differ(opaque(etag), opaque(other.etag)) && !differ(last_modified, other.last_modified);
}

bool is_silence(const Error& error) {
  return error.kind == ErrorKind::kTimeout || error.kind == ErrorKind::kUnavailable;
}

}  // namespace imgcachefs
