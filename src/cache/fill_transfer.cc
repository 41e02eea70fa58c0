// Fill: what comes from upstream.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cache/fill_sinks.h"

namespace imgcachefs {
namespace {

using std::chrono::steady_clock;

}  // namespace

uint32_t Fill::segment_chunks() const {
  const uint64_t bytes = flow_.segment_bytes(steady_clock::now());
  return std::max<uint32_t>(1, static_cast<uint32_t>(bytes / map_.chunk_size()));
}

// With mutex_ held.
bool Fill::one_more_stream() const {
  const auto now = steady_clock::now();
  const unsigned streams = flow_.streams(now);
  if (streams == 0) return false;  // a landing, or the keeper, comes to it again
  if (background_running_ != streams) return background_running_ < streams;
  const uint64_t to_come = uint64_t{map_.in(ChunkMap::State::kClaimed)} * map_.chunk_size();
  return to_come <= flow_.lead(now);
}

// The whole image is wanted, best from chunk `from` on. Called with mutex_ held.
void Fill::start_background(uint32_t from, Actions& actions) {
  if (dead_ || complete_) return;
  cursor_ = from;
  by_readers_ = true;
  if (!background_) {
    background_ = true;
    learn_digest(actions);
    if (!around_) {
      // Room for all of it first; the segments start when it is there.
      actions.then.push_back([this, self = shared_from_this()] {
        context_.workers.submit([this, self] { reserve_rest(); });
      });
    }
  }
  pump_background(actions);
}

// Called with mutex_ held.
void Fill::pump_background(Actions& actions) {
  if (dead_ || complete_ || context_.stop.stop_requested()) return;
  if (!background_ && !(around_ && must_verify_)) return;
  if (!around_ && !rest_reserved_) return;
  if (around_ && digest_gap().empty()) return;  // a window is filled by demand
  if (checks_running_ == 0)
    if (auto recorded = map_.find(ChunkMap::State::kRecorded, map_.all(), 64))
      want(*recorded, actions);
  if (info_.ranges == RangeSupport::kNo) {
    const bool needed = around_ || map_.find(ChunkMap::State::kAbsent, map_.all(), 1).has_value();
    if (needed) start_pass(actions);
    return;
  }
  while (one_more_stream() && !probing() && next_segment()) submit_background(actions);
  if (!around_ && map_.complete()) background_ = false;
}

void Fill::go_on() {
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    pump_background(actions);
  }
  perform(std::move(actions));
}

// With mutex_ held.
std::optional<ChunkRange> Fill::next_segment() const {
  if (around_) return map_.find(ChunkMap::State::kAbsent, digest_gap(), segment_chunks());
  const uint32_t from = std::min(cursor_, map_.count());
  auto next = map_.find(ChunkMap::State::kAbsent, {from, map_.count()}, segment_chunks());
  if (!next) next = map_.find(ChunkMap::State::kAbsent, map_.all(), segment_chunks());
  return next;
}

// Called with mutex_ held. The segment is claimed when its turn has come: what only stands in a
// queue must not keep a reader from asking for its chunks.
void Fill::submit_background(Actions& actions) {
  ++background_running_;
  actions.then.push_back([this, self = shared_from_this()] {
    context_.transfers.submit(Priority::kBackground, this, [this, self](std::stop_token stop) {
      std::optional<ChunkMap::Claim> claim;
      Actions actions;
      {
        std::lock_guard lock(mutex_);
        const bool wanted = (background_ || (around_ && must_verify_)) && !dead_ && !complete_;
        if (auto next = wanted ? next_segment() : std::nullopt) {
          if (!around_) cursor_ = next->last;
          map_.claim(*next);
          claim.emplace(self, *next);
        } else {
          --background_running_;
          settle_all(actions);  // who waited to see what became of it
        }
      }
      perform(std::move(actions));
      if (claim) transfer(std::move(*claim), Priority::kBackground, std::move(stop));
    });
  });
}

// Upstream did not say whether it sends ranges: the first request shows it, and each one more that
// was sent beside it could bring the whole image to be thrown away.
bool Fill::probing() const {
  return info_.ranges == RangeSupport::kUnknown && demand_running_ + background_running_ > 0;
}

// Called with mutex_ held.
void Fill::submit_demand(ChunkRange chunks, Actions& actions) {
  map_.claim(chunks);
  ++demand_running_;
  auto claim = std::make_shared<ChunkMap::Claim>(shared_from_this(), chunks);
  actions.then.push_back([this, self = shared_from_this(), claim] {
    context_.transfers.submit(Priority::kDemand, this, [this, self, claim](std::stop_token stop) {
      transfer(std::move(*claim), Priority::kDemand, std::move(stop));
    });
  });
}

void Fill::transfer(ChunkMap::Claim claim, Priority priority, std::stop_token stop) {
  const ByteRange range = map_.bytes(claim.rest());
  bool around;
  unsigned generation;
  ImageInfo info = [this] {
    std::lock_guard lock(mutex_);
    return info_;
  }();
  {
    std::lock_guard lock(mutex_);
    around = around_;
    generation = generation_;
    if (started_ == steady_clock::time_point{}) started_ = sampled_ = steady_clock::now();
  }
  const auto give_up = [&](Error error) {
    finish_transfer(std::move(claim), generation, priority, fail(std::move(error)));
  };
  if (stop.stop_requested()) return give_up({ErrorKind::kCancelled, "cancelled"});
  SpaceReservation space;
  if (around) {
    // Bytes that are not kept can be hashed as they pass only when it is known how.
    if (auto known = learn_digest_now(); !known) return give_up(known.error());
  } else if (auto room = reserve_for(range.size()); room) {
    space = std::move(*room);
  } else {
    return give_up(room.error());
  }
  ClaimSink sink(*this, claim, space, priority, stop);
  const auto begin = steady_clock::now();
  auto outcome = context_.upstream.read(info, range, sink, std::move(stop));
  if (sink.error()) outcome = fail(*sink.error());
  const auto end = steady_clock::now();
  if (!around && space.bytes() > 0) {
    std::lock_guard lock(mutex_);
    if (rest_reserved_) reservation_.merge(std::move(space));  // for whoever fetches the rest
  }
  if (outcome) {
    std::lock_guard lock(mutex_);
    flow_.transferred(range.size(), sink.first_byte().value_or(end) - begin, end - begin);
  }
  finish_transfer(std::move(claim), sink.generation(), priority, std::move(outcome));
}

// What ends a transfer may end more than it. True: the fill is dead. What the disk does not take is
// served around it, as cache trouble never fails a read.
bool Fill::ends_the_fill(const Result<ReadOutcome>& outcome) {
  if (outcome) return false;
  const Error& error = outcome.error();
  if (error.kind == ErrorKind::kStale) {
    spdlog::warn("{}: changed upstream while it was being read: {}", info_.id.str(), error.message);
    die(error, Disposal::kDiscard);
    return true;
  }
  if (error.kind == ErrorKind::kNoSpace || error.kind == ErrorKind::kIo) go_around(error);
  return false;
}

void Fill::finish_transfer(ChunkMap::Claim claim, unsigned generation, Priority priority,
                           Result<ReadOutcome> outcome) {
  const ChunkRange rest = claim.take_rest();
  if (ends_the_fill(outcome)) return;
  if (!outcome && outcome.error().kind == ErrorKind::kNotFound)
    if (const auto observer = observer_.lock()) observer->fill_not_found();
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    if (priority == Priority::kBackground) {
      --background_running_;
      flow_.background_ended(steady_clock::now());
    } else {
      --demand_running_;
    }
    if (generation == generation_) map_.release(rest);
    // What was put off to see what this request shows, or was asked for in a way that does not
    // work.
    bool ask_anew = info_.ranges == RangeSupport::kUnknown;
    if (ask_anew && outcome) info_.ranges = RangeSupport::kYes;
    attempts_ += outcome ? outcome->attempts : 1;
    if (!outcome && generation == generation_ && !dead_) {
      const Error& error = outcome.error();
      if (error.kind == ErrorKind::kNoRanges) {
        info_.ranges = RangeSupport::kNo;
        ask_anew = true;
      } else {
        last_error_ = error.message;
        if (priority == Priority::kBackground) {
          // The next reader who goes on starts it again.
          background_ = false;
          settle_wholes(fail(error), actions);
          if (error.kind != ErrorKind::kCancelled)
            spdlog::warn("{}: background filling stopped: {}", info_.id.str(), error.message);
        }
        for (uint32_t chunk = rest.first; chunk < rest.last; ++chunk) {
          auto [begin, end] = waiting_.equal_range(chunk);
          for (auto at = begin; at != end; ++at)
            actions.answers.push_back({std::move(at->second.done), fail(error)});
          waiting_.erase(begin, end);
        }
        if (must_verify_ && !held_.empty() && !background_) {
          for (Waiter& waiter : std::exchange(held_, {}))
            actions.answers.push_back({std::move(waiter.done), fail(error)});
        }
      }
    }
    if (ask_anew) settle_all(actions);
    pump_background(actions);
  }
  perform(std::move(actions));
}

bool Fill::someone_waits_in(ChunkRange chunks) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [chunks](const auto& entry) {
    return entry.first >= chunks.first && entry.first < chunks.last;
  });
}

void Fill::note_rate(uint64_t bytes) {
  fetched_ += bytes;
  const auto now = landed_ = steady_clock::now();
  const std::chrono::duration<double> since = now - sampled_;
  if (since.count() < 0.5) return;
  rate_ = static_cast<double>(fetched_ - sampled_bytes_) / since.count();
  sampled_ = now;
  sampled_bytes_ = fetched_;
}

void Fill::arrived(uint32_t chunk, unsigned generation, const SharedBytes& bytes) {
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    if (dead_ || generation != generation_ || map_.state(chunk) == ChunkMap::State::kPresent)
      return;
    window_.keep(chunk, bytes);
    arriving_.insert(chunk);
    wake(chunk, actions);
  }
  perform(std::move(actions));
}

bool Fill::landed(uint32_t chunk, unsigned generation, uint64_t checksum, SharedBytes bytes,
                  SpaceReservation& space) {
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    arriving_.erase(chunk);
    if (generation != generation_ || given_up()) return false;
    if (map_.state(chunk) == ChunkMap::State::kPresent) return true;  // another transfer's
    const uint64_t size = map_.bytes({chunk, chunk + 1}).size();
    map_.land(chunk, checksum);
    if (!around_) space.use(size);  // here, so that go_around() gives back what was counted
    if (dead_) return false;
    if (bytes) window_.keep(chunk, std::move(bytes));
    note_rate(size);
    if (background_running_ > 0 && !around_) {
      flow_.landed(size, landed_);
      pump_background(actions);
    }
    wake(chunk, actions);
    move_frontier(actions);
    trim_window();
  }
  perform(std::move(actions));
  return true;
}

}  // namespace imgcachefs
