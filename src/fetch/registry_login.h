// Logging in to a registry, as it asks for it: Basic, or a token of the token server that it names.
//
// - Nothing is sent, and no helper run, before a 401 says what is wanted. Where the token server is
//   is remembered, so the tokens of other scopes are asked for without a 401 first.
// - There is one token for each scope. It is asked for when it is first needed, once for all who
//   need it, and again before it expires: early by a minute or by a quarter of its life, if that is
//   less. While that is being done, and while the token server does not answer, the old one is used
//   as long as it holds.
// - A token that the registry refuses is replaced, once: where the next one is refused at once as
//   well, it is not the token that is wrong. One that the registry calls insufficient for just the
//   scope it was made for is not replaced while it is fresh: that is a registry's "no".
// - What was refused is not asked again for some seconds: it would lock the account of somebody who
//   tries wrong passwords all the time. A login that a token server refuses is given up for all
//   scopes; one that it took before, or that a registry refuses itself (which some do for what it
//   is just not good for), is tried for two other scopes first.
// - Only the registry is believed of what a login is wanted for, and not who it redirects to.
// - The login goes to the registry and to the token server it names, unencrypted to neither unless
//   the registry is asked unencrypted already.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "fetch/credentials.h"
#include "fetch/docker_config.h"
#include "fetch/http_config.h"
#include "fetch/registry_auth.h"

namespace imgcachefs {

struct RegistryLoginConfig {
  std::string registry;                // scheme://host[:port]
  Credentials secrets;                 // username and password, or token
  std::optional<DockerConfig> docker;  // for where these are not given
  HttpConfig http;                     // for the token server; its login is not used
};

// kInvalid, naming the key or the option, when these cannot work. Asks nothing of the network, and
// of no helper.
Result<std::unique_ptr<RegistryAuth>> registry_login(RegistryLoginConfig config);

}  // namespace imgcachefs
