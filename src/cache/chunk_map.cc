#include "cache/chunk_map.h"

#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace imgcachefs {

uint32_t chunk_size_for(uint64_t image_size, uint32_t wanted) {
  constexpr uint64_t kMostChunks = 1 << 20;
  const uint64_t least =
      std::bit_ceil(std::max<uint64_t>(1, (image_size + kMostChunks - 1) / kMostChunks));
  return static_cast<uint32_t>(std::max<uint64_t>(wanted, least));
}

ChunkMap::ChunkMap(uint64_t image_size, uint32_t chunk_size)
    : image_size_(image_size),
      chunk_size_(chunk_size),
      states_((image_size + chunk_size - 1) / chunk_size, State::kAbsent),
      checksums_(states_.size(), 0) {
  counts_[static_cast<size_t>(State::kAbsent)] = count();
}

void ChunkMap::set(uint32_t chunk, State state) {
  --counts_[static_cast<size_t>(states_[chunk])];
  ++counts_[static_cast<size_t>(state)];
  states_[chunk] = state;
}

ChunkRange ChunkMap::touching(ByteRange range) const {
  if (range.empty()) return {};
  return {static_cast<uint32_t>(range.begin / chunk_size_),
          static_cast<uint32_t>((range.end + chunk_size_ - 1) / chunk_size_)};
}

ByteRange ChunkMap::bytes(ChunkRange chunks) const {
  return clip({uint64_t{chunks.first} * chunk_size_, uint64_t{chunks.last} * chunk_size_},
              image_size_);
}

uint64_t ChunkMap::present_bytes() const {
  uint64_t bytes = uint64_t{in(State::kPresent)} * chunk_size_;
  if (count() > 0 && states_.back() == State::kPresent)
    bytes -= chunk_size_ - this->bytes({count() - 1, count()}).size();
  return bytes;
}

std::optional<ChunkRange> ChunkMap::find(State state, ChunkRange in, uint32_t most) const {
  if (this->in(state) == 0 || in.empty()) return std::nullopt;
  auto end = states_.begin() + in.last;
  auto first = std::find(states_.begin() + in.first, end, state);
  if (first == end) return std::nullopt;
  auto limit = first + std::min<ptrdiff_t>(most, end - first);
  auto last = std::find_if(first, limit, [state](State s) { return s != state; });
  return ChunkRange{static_cast<uint32_t>(first - states_.begin()),
                    static_cast<uint32_t>(last - states_.begin())};
}

void ChunkMap::record(uint32_t chunk, uint64_t checksum) {
  set(chunk, State::kRecorded);
  checksums_[chunk] = checksum;
}

void ChunkMap::claim(ChunkRange chunks) {
  for (uint32_t i = chunks.first; i < chunks.last; ++i) set(i, State::kClaimed);
}

void ChunkMap::release(ChunkRange chunks) {
  for (uint32_t i = chunks.first; i < chunks.last; ++i)
    if (states_[i] == State::kClaimed) set(i, State::kAbsent);
}

void ChunkMap::land(uint32_t chunk, uint64_t checksum) {
  if (states_[chunk] == State::kPresent) return;
  // A recorded chunk that proved right is in the saved map already.
  if (checksums_[chunk] != checksum) unsaved_.push_back(chunk);
  set(chunk, State::kPresent);
  checksums_[chunk] = checksum;
}

void ChunkMap::forget(uint32_t chunk) {
  if (states_[chunk] != State::kPresent) return;
  set(chunk, State::kAbsent);
  checksums_[chunk] = 0;
}

void ChunkMap::forget_all() {
  std::fill(states_.begin(), states_.end(), State::kAbsent);
  std::fill(checksums_.begin(), checksums_.end(), 0);
  counts_ = {};
  counts_[static_cast<size_t>(State::kAbsent)] = count();
  unsaved_.clear();
}

struct ChunkHasher::State {
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> xxh{XXH3_createState(), &XXH3_freeState};
};

ChunkHasher::ChunkHasher() : state_(std::make_unique<State>()) {
  XXH3_64bits_reset(state_->xxh.get());
}
ChunkHasher::~ChunkHasher() = default;

void ChunkHasher::update(const void* bytes, size_t length) {
  XXH3_64bits_update(state_->xxh.get(), bytes, length);
}

uint64_t ChunkHasher::finish() {
  const uint64_t value = XXH3_64bits_digest(state_->xxh.get());
  XXH3_64bits_reset(state_->xxh.get());
  return value == 0 ? 1 : value;
}

uint64_t chunk_checksum(const void* bytes, size_t length) {
  const uint64_t value = XXH3_64bits(bytes, length);
  return value == 0 ? 1 : value;
}

}  // namespace imgcachefs
