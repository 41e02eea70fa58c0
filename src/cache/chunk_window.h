// The chunks of an image whose bytes are in memory: those that came last. Not thread-safe: the
// Fill's mutex protects it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "cache/chunk_map.h"
#include "cache/image.h"

namespace imgcachefs {

class ChunkWindow {
 public:
  void keep(uint32_t chunk, SharedBytes bytes) {
    if (chunks_.insert_or_assign(chunk, std::move(bytes)).second) order_.push_back(chunk);
  }
  SharedBytes find(uint32_t chunk) const {
    auto at = chunks_.find(chunk);
    return at == chunks_.end() ? SharedBytes{} : at->second;
  }
  bool holds(ChunkRange range) const {  // all of them
    for (uint32_t chunk = range.first; chunk < range.last; ++chunk)
      if (!chunks_.contains(chunk)) return false;
    return true;
  }
  std::optional<uint32_t> first_from(uint32_t chunk) const {
    auto at = chunks_.lower_bound(chunk);
    return at == chunks_.end() ? std::nullopt : std::optional(at->first);
  }
  size_t size() const { return chunks_.size(); }  // chunks

  // The bytes of `range`, an image's; nullopt when a chunk of it is not here.
  std::optional<ImageBytes> read(const ChunkMap& map, ByteRange range) const {
    ImageBytes bytes{-1, 0, range.size()};
    for (uint64_t at = range.begin; at < range.end;) {
      const auto chunk = static_cast<uint32_t>(at / map.chunk_size());
      const auto found = chunks_.find(chunk);
      if (found == chunks_.end()) return std::nullopt;
      const uint64_t inside = at - map.bytes({chunk, chunk + 1}).begin;
      const uint64_t n = std::min<uint64_t>(found->second.size - inside, range.end - at);
      bytes.parts.push_back(found->second.part(inside, n));
      at += n;
    }
    return bytes;
  }

  // Forgets the chunks that came first, while `too_many` says so, but for those that `stays` says;
  // `forgotten` is told of each.
  template <typename TooMany, typename Stays, typename Forgotten>
  void trim(TooMany too_many, Stays stays, Forgotten forgotten) {
    for (auto at = order_.begin(); at != order_.end() && too_many();) {
      if (stays(*at)) {
        ++at;
        continue;
      }
      forgotten(*at);
      chunks_.erase(*at);
      at = order_.erase(at);
    }
  }
  void clear() {
    chunks_.clear();
    order_.clear();
  }

 private:
  std::map<uint32_t, SharedBytes> chunks_;
  std::deque<uint32_t> order_;  // as they came
};

}  // namespace imgcachefs
