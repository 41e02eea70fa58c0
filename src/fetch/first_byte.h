// How large something is, by asking for its first byte: of servers that know no HEAD.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "fetch/http_head.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// The header of such a GET, to which 200, 206 and 416 are answers.
inline std::pair<std::string, std::string> first_byte_header() {
  return {"Range", "bytes=0-0"};
}

struct SizeByFirstByte {
  uint64_t size = 0;  // bytes, of the whole
  RangeSupport ranges = RangeSupport::kUnknown;

  // nullopt: the answer does not tell the size.
  static std::optional<SizeByFirstByte> of(const HttpHead& answer);
};

}  // namespace imgcachefs
