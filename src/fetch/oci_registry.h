// An OCI or Docker registry as upstream (DESIGN 2.1, 2.4, 2.7): an image is a blob, its ID the
// digest; repositories are directories of them.
//
// https://github.com/opencontainers/distribution-spec and
// https://distribution.github.io/distribution/spec/api/ are the source of the protocol; what real
// registries do beside it has a test each in tests/contract/upstream_registry_test.cc.
//
// - A blob never changes. What is known of it needs no request; leave to pull the repository does,
//   every `believe`.
// - Upstream::stat() and read() ask in whichever repository is known to have the blob, which
//   Repositories' calls teach. list() is empty: everything is in a repository.
// - Of a tag the manifest for one platform counts.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "fetch/http_config.h"
#include "fetch/layer_info.h"
#include "fetch/platform.h"
#include "fetch/registry_auth.h"
#include "fetch/upstream.h"
#include "fetch/upstream_memory.h"

namespace imgcachefs {

struct RegistryConfig {
  std::string url;                     // scheme://host[:port]
  std::unique_ptr<RegistryAuth> auth;  // what lets us in
  LayerInfoCache layer_info;           // both halves
  Platform platform;                   // that tags mean
  HttpConfig http;                     // its login is not used
  UpstreamMemory memory = {};          // of a predecessor, or new
  // How long leave to pull a repository is believed; nullopt: for ever.
  std::optional<std::chrono::seconds> believe = std::chrono::seconds(300);
};

// kInvalid when the URL is none of a registry, or a file that `http` names cannot be read; nothing
// is asked of the network.
Result<std::unique_ptr<Upstream>> open_registry(RegistryConfig config);

}  // namespace imgcachefs
