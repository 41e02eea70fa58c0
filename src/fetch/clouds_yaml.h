// cloud=NAME: an entry of clouds.yaml, as openstacksdk reads it, as far as it concerns Glance.
//
// Taken are: auth (auth_url username user_id password token endpoint project_* user_domain_*
// project_domain_* domain_* default_domain* application_credential_*; the older names tenant_* and
// auth_token; each also beside `auth`), auth_type, identity_api_version, region_name, regions,
// interface (endpoint_type), image_region_name, image_interface, image_endpoint_override, verify,
// insecure, cacert, cert, key, profile (of a clouds-public.yaml). Other keys concern others.
// What openstacksdk has and we have not: its built-in vendor profiles and OS_* variables as a
// cloud.
#pragma once

#include <string>

#include "base/result.h"
#include "fetch/clouds_yaml_places.h"
#include "fetch/credentials.h"

namespace imgcachefs {

struct Cloud {
  Credentials secrets;     // auth_url and what it takes there, or a token; empty for auth_type none
  std::string region;      // "": any
  std::string interface_;  // public, internal, admin; "": public
  std::string ca_file, cert, key;
  bool verify = true;          // of TLS
  std::string image_endpoint;  // without its version; "": as the catalogue has it
};

// kInvalid, naming the file: no such cloud, or one we cannot use. Warns in the log of a secret in a
// file that everybody can read.
Result<Cloud> load_cloud(const std::string& name, const CloudPlaces& places);

}  // namespace imgcachefs
