// What an image's reader is given, as plain bytes.
#pragma once

#include <cstddef>
#include <vector>

#include "base/posix.h"
#include "cache/image.h"

namespace imgcachefs {

inline std::vector<std::byte> bytes_of(const ImageBytes& given) {
  std::vector<std::byte> bytes;
  if (given.fd >= 0) {
    bytes.resize(given.length);
    bytes.resize(posix::read_at(given.fd, bytes, given.offset).value_or(0));
    return bytes;
  }
  for (const SharedBytes& part : given.parts)
    bytes.insert(bytes.end(), part.span().begin(), part.span().end());
  return bytes;
}

}  // namespace imgcachefs
