// Which parts of an image lie in the cache directory, as far as is recorded there.
//
// Of an incomplete image that is what its saved chunk map says (cache/chunk_map_file.h), which may
// lag a running fill by a second, and is checked by the daemon before it serves by it. Read from
// the directory alone, so it is the same with a daemon and without one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/byte_range.h"
#include "ctl/cache_view.h"

namespace imgcachefs {

struct Presence {
  uint64_t size = 0;                   // bytes of the whole image
  std::optional<uint32_t> chunk_size;  // bytes; nullopt: there is no map, all is here or nothing
  std::vector<ByteRange> present;      // in order; neither touching one another nor empty

  uint64_t present_bytes() const;
  uint64_t present_bytes(ByteRange within) const;
};

// `entry`: of a cached or an incomplete image. A map that cannot be read, or is of another version
// of the image than its file, is none.
Presence presence_of(const CacheView& cache, const ImageEntry& entry);

}  // namespace imgcachefs
