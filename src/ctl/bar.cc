#include "ctl/bar.h"

#include <algorithm>

namespace imgcachefs {
namespace {

// floor(scale * part / of), and `scale` only when it is all of it.
uint64_t scaled(uint64_t part, uint64_t of, uint64_t scale) {
  if (part >= of) return scale;
  // The product has to fit: of large numbers the last digits do not matter.
  for (; of > UINT64_MAX / scale; of >>= 1) part >>= 1;
  return std::min(part * scale / of, scale - 1);
}

}  // namespace

unsigned percent_of(uint64_t part, uint64_t of) {
  return static_cast<unsigned>(scaled(part, of, 100));
}

std::string bar(uint64_t part, uint64_t of, size_t columns) {
  const size_t inside = std::max<size_t>(columns, 3) - 2;
  const size_t full = scaled(part, of, inside);
  return "[" + std::string(full, '#') + std::string(inside - full, '-') + "]";
}

}  // namespace imgcachefs
