// What a tag of a repository is: its manifest, for one platform.
#pragma once

#include <string>

#include "fetch/oci_manifest.h"
#include "fetch/platform.h"
#include "fetch/registry_client.h"

namespace imgcachefs {

// The manifest under a tag; of an index that of `platform`, over as many indexes as are sane. No
// text is believed that does not have the digest it is asked for by, or that the registry says it
// has. kNotFound: there is no such tag, or nothing for the platform in it.
Result<Tag> find_tag(RegistryClient& client, const Platform& platform,
                     const std::string& repository, const std::string& tag, const Limits& limits);

}  // namespace imgcachefs
