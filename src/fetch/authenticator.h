// How a service of OpenStack lets us in: where it is, and the token it wants to see.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "fetch/upstream.h"

namespace imgcachefs {

struct ServiceAccess {
  std::string endpoint;  // URL of the service without its version, without a '/' at its end
  std::string token;     // for X-Auth-Token; "": none is needed
};

// Thread-safe. Nothing of it is ever logged but the endpoint.
class Authenticator {
 public:
  virtual ~Authenticator() = default;

  // Good for a request sent now. May ask the identity service, once for all who wait. kDenied: it
  // does not let us in. kTimeout, kUnavailable, kProtocol: of the identity service. kCancelled.
  virtual Result<ServiceAccess> access(Patience patience, std::stop_token stop) = 0;

  // The service refused `token` (401): the next access() has another one, if one can be had. Told
  // by many at the same time, it is one renewal.
  virtual void refused(const std::string& token) = 0;
};

// Always the same: for a service without authentication (token ""), or with a token that the
// operator sees to.
std::unique_ptr<Authenticator> fixed_access(std::string endpoint, std::string token);

}  // namespace imgcachefs
