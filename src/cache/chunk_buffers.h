// Memory for the bytes of chunks that have just come, used again and again.
//
// A chunk is put together here before it is written. It stays for a while after that, so that
// readers and the digest take it from memory and not back from the file. What is given back is kept
// for the next: buffers of this size come from the kernel page by page, each to be cleared first,
// and would go back to it at once.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace imgcachefs {

// Thread-safe.
class ChunkBuffers {
 public:
  // More than `most` bytes in use is `crowded`. A quarter of it is kept of what is given back.
  explicit ChunkBuffers(size_t most) : state_(std::make_shared<State>(most)) {}

  // So many bytes with anything in them; they come back when nobody has them any more, and may
  // outlive this.
  std::shared_ptr<std::byte[]> take(size_t size);

  // Who holds on to bytes only because they may be asked for should let go.
  bool crowded() const;

 private:
  struct State {
    explicit State(size_t bytes) : most(bytes) {}
    const size_t most;
    std::mutex mutex;  // protects what follows
    size_t used = 0, free_bytes = 0;
    std::unordered_map<size_t, std::vector<std::unique_ptr<std::byte[]>>> free;  // by size
  };
  static void give_back(State& state, std::byte* bytes, size_t size);

  const std::shared_ptr<State> state_;
};

}  // namespace imgcachefs
