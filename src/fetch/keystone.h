// Access to Glance by a token of Keystone's (OpenStack Identity API v3).
//
// A token is asked for when it is first needed, once for all who need it, and again before it
// expires: early by a minute or by a quarter of its life, if that is less. Who comes while that is
// being done goes on with the old one, as all do as long as it holds when Keystone does not answer;
// then it is asked again a little later and not by everyone. A token that Glance refused is given
// up.
//
// What Keystone refused it is not asked again for some seconds: it would lock the account of
// somebody who tries wrong passwords all the time.
//
// The secrets go to the origin of auth_url only (a POST is not redirected) and into no message.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "fetch/authenticator.h"
#include "fetch/credentials.h"
#include "fetch/http_config.h"

namespace imgcachefs {

struct KeystoneConfig {
  Credentials secrets;     // fetch/keystone_login.h says which
  std::string endpoint;    // of Glance, without its version; "": as Keystone's catalogue has it
  std::string region;      // of the catalogue; "": any
  std::string interface_;  // of the catalogue: public, internal, admin; "": public
  HttpConfig http;         // for Keystone; its login is not used
};

// kInvalid, naming the key or the option, when these cannot work. Asks nothing of the network.
Result<std::unique_ptr<Authenticator>> keystone_access(KeystoneConfig config);

}  // namespace imgcachefs
