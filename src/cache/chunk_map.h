// Which chunks of an incomplete image are here, and which are on their way.
//
// A chunk is `chunk_size` bytes (the last one less) and in one of four states:
//
//     absent --claim--> claimed --land--> present
//        ^                 |
//        +----release------+         recorded --claim--> claimed (to be checked, then landed or
//        released)
//
// *Present* and *claimed* are two things on purpose: presence is what may be served and saved, a
// claim is a promise of one transfer to bring the bytes, held as an RAII object that gives back
// what it did not land. *Recorded* is what a saved map says of a file that we have not looked at
// since: to be compared with its checksum before it is believed.
//
// Not thread-safe: the Fill's mutex protects it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/byte_range.h"

namespace imgcachefs {

// Chunk numbers [first, last).
struct ChunkRange {
  uint32_t first = 0;
  uint32_t last = 0;

  bool empty() const { return first >= last; }
  uint32_t count() const { return last - first; }
  bool operator==(const ChunkRange&) const = default;
};

// An image has at most a million chunks: what is kept of each (9 bytes here, 8 on disk) stays
// small. The chunk size for an image of `image_size` bytes where `wanted` was asked for.
uint32_t chunk_size_for(uint64_t image_size, uint32_t wanted);
inline constexpr uint64_t kLargestImage = (64ULL << 20)
                                          << 20;  // 64 TiB: a million chunks of 64 MiB

class ChunkMap {
 public:
  enum class State : uint8_t { kAbsent, kRecorded, kClaimed, kPresent };

  ChunkMap(uint64_t image_size, uint32_t chunk_size);

  uint32_t count() const { return static_cast<uint32_t>(states_.size()); }
  uint32_t chunk_size() const { return chunk_size_; }
  ChunkRange all() const { return {0, count()}; }
  ChunkRange touching(ByteRange range) const;  // the chunks a range of bytes lies in
  ByteRange bytes(ChunkRange chunks) const;  // of an image, so the last chunk's end is the image's

  State state(uint32_t chunk) const { return states_[chunk]; }
  uint64_t checksum(uint32_t chunk) const {
    return checksums_[chunk];
  }  // of a present or recorded one
  uint32_t in(State state) const {
    return counts_[static_cast<size_t>(state)];
  }  // how many are in it
  bool complete() const { return in(State::kPresent) == count(); }
  uint64_t present_bytes() const;

  // The first run of chunks in `state` within `in`, at most `most` long.
  std::optional<ChunkRange> find(State state, ChunkRange in, uint32_t most) const;

  void record(uint32_t chunk, uint64_t checksum);
  void claim(ChunkRange chunks);    // absent or recorded ones
  void release(ChunkRange chunks);  // claimed -> absent; others are left as they are
  void land(uint32_t chunk, uint64_t checksum);
  void forget(uint32_t chunk);  // present -> absent
  void forget_all();            // whatever it was -> absent

  // The chunks that landed since the last call: what the saved map does not know yet.
  std::vector<uint32_t> take_unsaved() { return std::exchange(unsaved_, {}); }
  bool has_unsaved() const { return !unsaved_.empty(); }

  // Who is told when a claim ends with chunks not landed.
  class Owner {
   public:
    virtual void give_back(ChunkRange chunks) = 0;

   protected:
    ~Owner() = default;
  };

  // A transfer's promise to bring chunks, in order. Destroyed with some left, these go back.
  class Claim {
   public:
    Claim() = default;
    Claim(std::shared_ptr<Owner> owner, ChunkRange chunks)
        : owner_(std::move(owner)), rest_(chunks) {}
    Claim(Claim&& other) noexcept
        : owner_(std::move(other.owner_)), rest_(std::exchange(other.rest_, {})) {}
    Claim& operator=(Claim&&) = delete;
    ~Claim() {
      if (owner_ && !rest_.empty()) owner_->give_back(rest_);
    }

    ChunkRange rest() const { return rest_; }
    void landed_first() { ++rest_.first; }
    ChunkRange take_rest() { return std::exchange(rest_, {}); }  // the caller releases them itself

   private:
    std::shared_ptr<Owner> owner_;
    ChunkRange rest_;
  };

 private:
  void set(uint32_t chunk, State state);

  uint64_t image_size_;
  uint32_t chunk_size_;
  std::array<uint32_t, 4> counts_{};  // by State
  std::vector<State> states_;
  std::vector<uint64_t> checksums_;
  std::vector<uint32_t> unsaved_;
};

// XXH3 over a chunk's bytes; never 0, which in a saved map means absent.
class ChunkHasher {
 public:
  ChunkHasher();
  ~ChunkHasher();
  ChunkHasher(const ChunkHasher&) = delete;
  ChunkHasher& operator=(const ChunkHasher&) = delete;

  void update(const void* bytes, size_t length);
  uint64_t finish();  // and begin anew

 private:
  struct State;
  std::unique_ptr<State> state_;
};
uint64_t chunk_checksum(const void* bytes, size_t length);

}  // namespace imgcachefs
