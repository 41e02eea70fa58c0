// How a registry lets us in: nothing, Basic, or a token for what is being asked (the registry's
// token authentication; RFC 7617, RFC 6750, RFC 9110 section 11).
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "fetch/http_head.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// What a request is about, as token servers name it: "repository:team/vm:pull",
// "registry:catalog:*", or "" for the registry itself.
using RegistryScope = std::string;

// Thread-safe. Nothing of it is ever logged but the scope and the token server's URL.
class RegistryAuth {
 public:
  virtual ~RegistryAuth() = default;

  // The value of the Authorization header for a request sent now; "": none. May ask the token
  // server, once for all who wait. kDenied: it does not let us in. kTimeout, kUnavailable,
  // kProtocol: of the token server. kCancelled.
  virtual Result<std::string> authorization(const RegistryScope& scope, Patience patience,
                                            std::stop_token stop) = 0;

  // The registry answered 401 to a request that had `sent` ("": none) for its Authorization. Ok:
  // authorization() now has another one to try, or may have. kDenied, with the reason: it has not,
  // this was the answer. Told by many at the same time, it is one renewal.
  virtual Status refused(const RegistryScope& scope, const std::string& sent,
                         const HttpHead& answer) = 0;
};

// Never sends anything, and takes a 401 for an answer.
std::unique_ptr<RegistryAuth> no_registry_auth();

}  // namespace imgcachefs
