// A half-open range of bytes of an image: [begin, end), offsets from its start.
#pragma once

#include <algorithm>
#include <cstdint>

namespace imgcachefs {

struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = 0;

  uint64_t size() const { return end - begin; }
  bool empty() const { return begin >= end; }
  bool operator==(const ByteRange&) const = default;
};

// What of `range` lies inside an image of `size` bytes (an empty range when nothing does).
inline ByteRange clip(ByteRange range, uint64_t size) {
  return {std::min(range.begin, size), std::min(range.end, size)};
}

}  // namespace imgcachefs
