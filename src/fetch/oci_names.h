// The names a registry knows: of repositories, tags and blobs
// (https://github.com/opencontainers/distribution-spec, the grammar of <name> and <reference>;
// https://github.com/opencontainers/image-spec, descriptor.md, of digests). Pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "base/digest.h"
#include "fetch/image_id.h"

namespace imgcachefs {

// "team/vm": parts of a-z 0-9, with ".", "_", "__" or any number of "-" between them; 255 bytes at
// most, as registries have it. Such a name needs no encoding in a URL, and none of its parts is one
// of a directory's ".", "..", or hidden.
bool is_repository_name(std::string_view text);

// "v1.2_x-y", "latest".
bool is_tag_name(std::string_view text);

// "sha256:<hex>" or "sha512:<hex>", in lower case; kInvalid for anything else, other algorithms
// included: nobody could check them.
Result<Digest> parse_blob_digest(std::string_view text);

// A blob's ID is its digest. nullopt: it is no blob's.
std::optional<Digest> digest_of(const ImageId& id);
ImageId id_of_blob(const Digest& digest);

}  // namespace imgcachefs
