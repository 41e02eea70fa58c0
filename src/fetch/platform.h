// Which machine an image is for, and which of several images is for a machine
// (https://github.com/opencontainers/image-spec, image-index.md; the names are those of Go).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace imgcachefs {

struct Platform {
  std::string os, architecture, variant;  // "linux", "arm64", "v8"; variant "": none is named

  // "OS/ARCH" or "OS/ARCH/VARIANT" of the option platform=, in any case; the names that uname has
  // for an architecture will do. kInvalid, naming it, when it is neither.
  static Result<Platform> parse(std::string_view text);
  // As uname(2) tells: its sysname and machine.
  static Platform of_machine(std::string_view sysname, std::string_view machine);
  static Platform of_this_machine();

  std::string str() const;
  bool operator==(const Platform&) const = default;
};

// The index of the image for `wanted` among those an image index offers (nullopt: it does not say
// what for): one of the same variant, else one that names no variant. arm64 without a variant is
// v8, arm without one v7. What is for "unknown" is no image (an attestation); the only image there
// is may be for nothing in particular. kNotFound, naming what there is.
Result<size_t> choose_platform(const Platform& wanted,
                               const std::vector<std::optional<Platform>>& offered);

}  // namespace imgcachefs
