// What of one version of an image was ever handed to a reader, in chunks: see fill.h, "Holding
// back".
#pragma once

#include <cstdint>
#include <vector>

#include "cache/chunk_map.h"

namespace imgcachefs {

// Not thread-safe: the mutex of the Fill that uses it protects it.
class Delivered {
 public:
  // Made for an image of so many chunks at first use; the number stays.
  void prepare(uint32_t chunks, uint32_t chunk_size) {
    if (!bits_.empty() || chunks == 0) return;
    bits_.resize(chunks, false);
    missing_ = chunks;
    chunk_size_ = chunk_size;
  }
  uint32_t chunk_size() const { return chunk_size_; }  // bytes; 0 before prepare()

  // Would handing out these chunks leave nothing that was not handed out?
  bool completes(ChunkRange chunks) const {
    uint32_t fresh = 0;
    for (uint32_t i = chunks.first; i < chunks.last; ++i)
      if (!bits_[i]) ++fresh;
    return missing_ == fresh;
  }

  void mark(ChunkRange chunks) {
    for (uint32_t i = chunks.first; i < chunks.last; ++i) {
      if (!bits_[i]) --missing_;
      bits_[i] = true;
    }
  }

 private:
  std::vector<bool> bits_;
  uint32_t missing_ = 0;
  uint32_t chunk_size_ = 0;
};

}  // namespace imgcachefs
