// What a registry has under a tag: a manifest, which names blobs, or an index, which names
// manifests, one for each platform. Docker's schema 2 and OCI's are the same but for the media
// types, and an artifact (ORAS, Helm, ...) is a manifest like any other.
//
// https://github.com/opencontainers/image-spec (manifest.md, image-index.md, descriptor.md) and
// distribution's manifest-v2-2.md are the source of the formats.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "fetch/platform.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// No registry takes a longer one.
constexpr size_t kLongestManifest = 4 << 20;

// What to send as Accept: to who does not name all four, a registry says that there is no manifest
// or makes a schema 1 manifest of it.
std::string manifest_media_types();

// How a manifest refers to a blob, or an index to a manifest.
struct OciDescriptor {
  std::string media_type;
  Digest digest;
  uint64_t size = 0;                   // bytes, as whoever wrote the manifest had it
  std::string title = {};              // of the annotation org.opencontainers.image.title; "": none
  std::vector<std::string> urls = {};  // a foreign layer's: where it is, if not in the registry
  std::optional<Platform> platform = {};  // of an index's
};

struct OciManifest {
  OciDescriptor config;
  std::vector<OciDescriptor> layers;

  // The config, titled "config", and the layers: by their title, else "layer-<n>" (n is the place
  // in the array, from 0) with an extension where the media type tells one.
  std::vector<TaggedImage> images() const;
};

struct OciIndex {
  std::vector<OciDescriptor> manifests;

  Result<OciDescriptor> choose(const Platform& platform) const;  // as choose_platform()
};

// `content_type`: of the answer; it says the type where the text does not. kProtocol when the text
// is none of the four, contradicts itself or its Content-Type, refers to anything without a right
// digest or size, or is longer than is sane. The text of a schema 1 manifest is kProtocol, too.
Result<std::variant<OciManifest, OciIndex>> parse_manifest(std::string_view text,
                                                           std::string_view content_type);

}  // namespace imgcachefs
