// Keystone's catalogue: which service is where, as a token brings it along (token.catalog of the
// Identity API v3).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace imgcachefs {

struct ImageEndpoint {
  std::string interface_;  // "public", "internal", "admin"
  std::string region;
  std::string region_id;
  std::string url;  // as the catalogue has it
};

class ServiceCatalogue {
 public:
  // `token`: the object "token" of Keystone's answer. One without a catalogue has none of it. What
  // is not as it should be is left out: it can be of services that do not concern us.
  static ServiceCatalogue of(const nlohmann::json& token);

  // The URL of the image service (its type is "image") without its version and without a '/' at its
  // end: the first one with this interface, and with this region or region ID ("": any).
  // kUnavailable, saying what there is, when there is none.
  Result<std::string> image_service(const std::string& region, const std::string& interface) const;

 private:
  std::vector<ImageEndpoint> images_;
};

// "publicURL", as it once was called, is "public"; "" is "public", too.
std::string normal_interface(const std::string& interface);

// Glance's URL without a '/' and without "/v2" at its end.
std::string without_image_version(std::string url);

}  // namespace imgcachefs
