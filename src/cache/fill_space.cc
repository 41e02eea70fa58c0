// Fill: the room for what it fetches, promised before it is asked for.
#include <algorithm>

#include "cache/fill.h"

namespace imgcachefs {

void Fill::reserve_rest() {
  std::unique_lock reserving(reserve_mutex_);
  uint64_t rest = 0;
  {
    std::lock_guard lock(mutex_);
    if (dead_ || around_ || rest_reserved_ || map_.complete()) return;
    // What is claimed on demand has a promise of its own, or comes for it to transfer().
    uint32_t at = 0;
    while (auto run = map_.find(ChunkMap::State::kAbsent, {at, map_.count()}, map_.count())) {
      rest += map_.bytes(*run).size();
      at = run->last;
    }
    rest -= std::min(rest, reservation_.bytes());  // a pass has some already
  }
  // What is on disk is counted already, what a saved map speaks of included.
  auto room = reserve(std::min(rest, info_.size - std::min(info_.size, file_->bytes_on_disk())));
  if (!room) {
    reserving.unlock();
    Actions actions;
    bool by_readers;
    {
      std::lock_guard lock(mutex_);
      // Demand may have brought the last of it meanwhile.
      if (map_.complete()) return;
      by_readers = by_readers_;
      if (!by_readers) {
        // Nobody waits for it: what is here stays, and readers may go on as they did.
        background_ = false;
        last_error_ = room.error().message;
        settle_wholes(fail(room.error()), actions);
      }
    }
    perform(std::move(actions));
    if (by_readers) go_around(room.error());
    return;
  }
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    if (dead_ || around_) return;
    reservation_.merge(std::move(*room));
    rest_reserved_ = true;
    pump_background(actions);
  }
  reserving.unlock();
  perform(std::move(actions));
}

Result<SpaceReservation> Fill::reserve(uint64_t bytes) {
  auto room = context_.budget.reserve(bytes);
  if (!room) return fail(room.error().in(info_.id.str()));
  return room;
}

// For a transfer: from what is promised to the rest, as far as that goes.
Result<SpaceReservation> Fill::reserve_for(uint64_t bytes) {
  std::lock_guard reserving(reserve_mutex_);
  SpaceReservation space;
  {
    std::lock_guard lock(mutex_);
    if (rest_reserved_) space = reservation_.split(bytes);
  }
  if (space.bytes() < bytes) {
    auto more = reserve(bytes - space.bytes());
    if (!more) return more;
    space.merge(std::move(*more));
  }
  return space;
}

// For a pass that comes to `chunk`: some ahead, so that the account is not asked for every chunk,
// and no more than there is.
Status Fill::reserve_ahead(uint32_t chunk) {
  std::lock_guard reserving(reserve_mutex_);
  const uint64_t size = map_.bytes({chunk, chunk + 1}).size();
  uint64_t there;
  {
    std::lock_guard lock(mutex_);
    there = reservation_.bytes();
  }
  if (there >= size) return {};
  const uint64_t left = map_.bytes({chunk, map_.count()}).size();
  auto more = reserve(std::min<uint64_t>(left, std::max<uint64_t>(size, 1 << 20)) - there);
  if (!more) more = reserve(size - there);
  if (!more) return fail(more.error());
  std::lock_guard lock(mutex_);
  if (!dead_ && !around_) reservation_.merge(std::move(*more));
  return {};
}

}  // namespace imgcachefs
