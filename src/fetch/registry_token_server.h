// Asks the token server that a registry names for a token.
//
// GET with the login as Basic, or without one; POST (OAuth2, grant_type=refresh_token) with an
// identity token. The registry names its token server, so the login goes there as well, but never
// unencrypted when the registry itself is not: that would be a downgrade that nobody asked for.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <tl/expected.hpp>

#include "fetch/http_client.h"
#include "fetch/registry_login_secrets.h"
#include "fetch/registry_login_way.h"
#include "fetch/registry_token.h"
#include "fetch/upstream.h"
#include "fetch/url.h"

namespace imgcachefs {

struct TokenFailure {
  Error error;
  bool of_secrets = false;  // they were refused, and not only what they were to be good for
};

struct TokenQuestion {
  RegistryWay way;
  std::string scope;  // one or several with blanks between; "": none
  RegistrySecrets secrets;
  Patience patience = Patience::kFull;
  std::chrono::steady_clock::time_point begin;  // of what the patience is for
};

// Thread-safe.
class RegistryTokenServer {
 public:
  RegistryTokenServer(Url registry, HttpConfig http);

  // kDenied, kTimeout, kUnavailable, kProtocol, kCancelled; none of them holds a secret.
  tl::expected<RegistryToken, TokenFailure> ask(const TokenQuestion& question,
                                                std::stop_token stop);

 private:
  const Url registry_;
  const unsigned retries_;
  UpstreamStats stats_;
  HttpClient client_;
};

}  // namespace imgcachefs
