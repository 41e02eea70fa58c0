#include "cache/chunk_buffers.h"

#include <bit>

namespace imgcachefs {

std::shared_ptr<std::byte[]> ChunkBuffers::take(size_t size) {
  size = std::bit_ceil(size);  // the last chunk of an image has any size
  std::unique_ptr<std::byte[]> bytes;
  {
    std::lock_guard lock(state_->mutex);
    state_->used += size;
    auto& free = state_->free[size];
    if (!free.empty()) {
      bytes = std::move(free.back());
      free.pop_back();
      state_->free_bytes -= size;
    }
  }
  if (!bytes) bytes = std::make_unique_for_overwrite<std::byte[]>(size);
  return {bytes.release(),
          [state = state_, size](std::byte* bytes) { give_back(*state, bytes, size); }};
}

void ChunkBuffers::give_back(State& state, std::byte* bytes, size_t size) {
  std::unique_ptr<std::byte[]> owned(bytes);  // freed outside the lock, if at all
  std::lock_guard lock(state.mutex);
  state.used -= size;
  if (state.free_bytes + size > state.most / 4) return;
  state.free[size].push_back(std::move(owned));
  state.free_bytes += size;
}

bool ChunkBuffers::crowded() const {
  std::lock_guard lock(state_->mutex);
  return state_->used > state_->most;
}

}  // namespace imgcachefs
