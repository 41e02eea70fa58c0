#include "ctl/presence.h"

#include <algorithm>

#include "cache/chunk_map_file.h"

namespace imgcachefs {

uint64_t Presence::present_bytes() const {
  return present_bytes({0, size});
}

uint64_t Presence::present_bytes(ByteRange within) const {
  // The first that ends behind the beginning, and on from there.
  auto range = std::upper_bound(present.begin(), present.end(), within.begin,
                                [](uint64_t at, const ByteRange& r) { return at < r.end; });
  uint64_t sum = 0;
  for (; range != present.end() && range->begin < within.end; ++range)
    sum += std::min(range->end, within.end) - std::max(range->begin, within.begin);
  return sum;
}

Presence presence_of(const CacheView& cache, const ImageEntry& entry) {
  Presence presence;
  presence.size = static_cast<uint64_t>(entry.file.st.st_size);
  if (entry.place == Place::kCached) {
    if (presence.size > 0) presence.present.push_back({0, presence.size});
    return presence;
  }
  const int maps = cache.layout().dir(Place::kMaps);
  if (maps < 0) return presence;
  auto map = ChunkMapFile::load(maps, entry.file.id.str());
  if (!map || map->header.image_size != presence.size) return presence;
  presence.chunk_size = map->header.chunk_size;
  for (const auto& [chunk, checksum] : map->present) {
    const uint64_t begin = uint64_t{chunk} * map->header.chunk_size;
    const uint64_t end = std::min(begin + map->header.chunk_size, presence.size);
    if (!presence.present.empty() && presence.present.back().end == begin)
      presence.present.back().end = end;
    else
      presence.present.push_back({begin, end});
  }
  return presence;
}

}  // namespace imgcachefs
