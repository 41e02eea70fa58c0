// Fill: around the cache, where chunks live in a window in memory.
#include <algorithm>

#include "base/log.h"
#include "cache/fill.h"

namespace imgcachefs {
namespace {

// Bytes kept of an image that is served around the cache, and of those that the digest still needs:
// hashing may fall behind a fast upstream for a while.
constexpr uint64_t kWindowBytes = 8 << 20, kUnhashedBytes = 64 << 20;

}  // namespace

// Around the cache: what the digest's frontier lacks and no reader will bring. A held read needs
// all of it, as far as the window reaches; else a gap before the chunks that readers have now is
// closed, so that the digest follows them and nothing is fetched twice at the end. With mutex_
// held.
ChunkRange Fill::digest_gap() const {
  if (!expected_ || settled_ || frontier_ >= map_.count() ||
      map_.state(frontier_) != ChunkMap::State::kAbsent)
    return {};
  if (must_verify_) return {frontier_, std::min(map_.count(), frontier_ + window_chunks())};
  const auto ahead = window_.first_from(frontier_);
  if (!ahead || *ahead - frontier_ > window_chunks()) return {};
  return {frontier_, *ahead};
}

uint32_t Fill::window_chunks() const {
  return std::max<uint32_t>(4, static_cast<uint32_t>(kWindowBytes / map_.chunk_size()));
}

// Forgets the oldest chunks of a full window; around the cache, where they are gone with it, those
// that the digest still needs last. With mutex_ held.
void Fill::trim_window() {
  const uint32_t most = window_chunks();
  if (!around_) {
    window_.trim([&] { return window_.size() > most || context_.buffers.crowded(); },
                 [](uint32_t) { return false; }, [](uint32_t) {});
    return;
  }
  const auto needed = [&](uint32_t chunk) {
    return digest_state_ == DigestState::kKnown && expected_ && !settled_ && chunk >= frontier_ &&
           window_.size() * map_.chunk_size() <= kUnhashedBytes;
  };
  window_.trim([&] { return window_.size() > most; }, needed,
               [this](uint32_t chunk) { map_.forget(chunk); });
  pass_wanted_.notify_all();
}

// No room, or a disk that fails: goes on without a file. What was fetched is given up, its bytes
// are fetched again when they are asked for; the digest goes on from where it was.
void Fill::go_around(const Error& why) {
  Actions actions;
  uint64_t on_disk = 0;
  {
    std::lock_guard lock(mutex_);
    if (around_ || dead_ || complete_ || committing_) return;
    ++context_.counters.around;
    on_disk = map_.present_bytes();
    around_ = true;
    around_because_ = why;
    ++generation_;
    map_.forget_all();
    window_.clear();
    arriving_.clear();
    rest_reserved_ = false;
    reservation_ = SpaceReservation();
    last_error_ = why.message;
    settle_wholes(fail(why), actions);
    settle_all(actions);
    move_frontier(actions);
  }
  spdlog::warn("{}: served around the cache: {}", info_.id.str(), why.message);
  {
    std::lock_guard lock(map_mutex_);
    map_closed_ = true;
    map_file_.reset();
  }
  if (file_) {
    // Readers being answered right now have its descriptor, which stays open. What another program
    // has put there, or begun to write to, is left to it.
    if (auto gone = file_->discard(); !gone && gone.error().kind != ErrorKind::kStale &&
                                      gone.error().kind != ErrorKind::kNotFound)
      spdlog::warn("{}: {}", info_.id.str(), gone.error().message);
    context_.budget.freed(on_disk);
  }
  perform(std::move(actions));
}

}  // namespace imgcachefs
