// SOURCE, the first argument of imgcachefs (DESIGN 2.1): which upstream it means.
//
//     http://HOST/DIR/      https://...          a plain HTTP directory
//     glance+http://HOST    glance+https://...   OpenStack Image API v2 there
//     glance:               glance:AUTH_URL      the same, where Keystone's catalogue says it is
//     oci+http://HOST       oci+https://HOST     an OCI or Docker registry; "docker.io" is Docker
//     Hub
#pragma once

#include <string>

#include "base/result.h"

namespace imgcachefs {

struct Source {
  enum class Kind { kDirectory, kGlance, kCataloguedGlance, kRegistry };

  Kind kind = Kind::kDirectory;
  // kDirectory: of the directory, with a '/' at its end. kGlance: of the service, without its
  // version and without a '/' at its end. kCataloguedGlance: of Keystone, likewise, or "".
  // kRegistry: scheme://host[:port], in lower case and without a port that goes without saying.
  std::string url;

  // kInvalid when it is no SOURCE this version can mount, saying why; a password in it is not
  // repeated.
  static Result<Source> parse(const std::string& text);
};

}  // namespace imgcachefs
