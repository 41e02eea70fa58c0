// Fill: what comes from upstream.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cache/fill.h"

namespace imgcachefs {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Two, so that one flows while the other's request is on its way.
constexpr unsigned kBackgroundStreams = 2;
constexpr double kSegmentSeconds = 0.25;
constexpr uint64_t kFirstSegment = 1 << 20;
constexpr uint64_t kLeastSegment = 256 << 10, kMostSegment = 32 << 20;
// Bytes kept of an image that is served around the cache, and of those that the digest still needs:
// hashing may fall behind a fast upstream for a while.
constexpr uint64_t kWindowBytes = 8 << 20, kUnhashedBytes = 64 << 20;
// How long a pass over an upstream without ranges stays open for a reader to go on.
constexpr std::chrono::seconds kPassLingers{5};

}  // namespace

// Cuts what arrives into chunks, writes them, and lands each as it is whole.
class Fill::ChunkSink : public ByteSink {
 public:
  ChunkSink(Fill& fill, uint32_t first, std::stop_token stop)
      : fill_(fill),
        stop_(std::move(stop)),
        chunk_(first),
        at_(fill.map_.bytes({first, first + 1}).begin) {
    std::lock_guard lock(fill.mutex_);
    generation_ = fill.generation_;
    around_ = fill.around_;
  }

  bool write(std::span<const std::byte> bytes) final {
    while (!bytes.empty()) {
      const ByteRange whole = fill_.map_.bytes({chunk_, chunk_ + 1});
      if (at_ == whole.begin) {
        const Take take = begin_chunk(chunk_);
        if (take == Take::kStop) return false;
        taking_ = take == Take::kYes;
        if (taking_ && around_) buffer_.reserve(whole.size());
      }
      const size_t n = std::min<uint64_t>(bytes.size(), whole.end - at_);
      if (taking_ && !keep(bytes.first(n))) return false;
      at_ += n;
      bytes = bytes.subspan(n);
      if (at_ == whole.end) {
        if (taking_ && !land()) return false;
        ++chunk_;
      }
    }
    return true;
  }

  unsigned generation() const { return generation_; }
  const std::optional<Error>& error() const {
    return error_;
  }  // why write() said enough; none: no use for more

 protected:
  enum class Take { kYes, kNo, kStop };
  virtual Take begin_chunk(uint32_t chunk) = 0;
  virtual SpaceReservation& space() = 0;
  virtual void chunk_landed() {}

  // limit_rate holds back what nobody waits for, before the first of `mine`. It ends when a reader
  // comes to need one of them, or has to wait for this transfer to end.
  void hold_back(ChunkRange mine) {
    Throttle& throttle = fill_.context_.throttle;
    const uint64_t bytes = fill_.map_.bytes({mine.first, mine.first + 1}).size();
    const auto until = steady_clock::now() + throttle.take(bytes);
    std::unique_lock lock(fill_.mutex_);
    const auto needed = [&] {
      return fill_.dead_ || !fill_.held_.empty() || fill_.someone_waits_in(mine) ||
             fill_.context_.transfers.demand_waits();
    };
    while (steady_clock::now() < until && !stop_.stop_requested()) {
      if (needed()) return throttle.give_back(bytes);
      fill_.pass_wanted_.wait_for(
          lock, std::min<steady_clock::duration>(until - steady_clock::now(), milliseconds(20)));
    }
  }

  Fill& fill_;
  const std::stop_token stop_;
  std::optional<Error> error_;
  unsigned generation_ = 0;
  bool around_ = false;

 private:
  bool keep(std::span<const std::byte> bytes) {
    if (around_) {
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
      return true;
    }
    hasher_.update(bytes.data(), bytes.size());
    auto written = posix::write_at(fill_.file_->fd(), bytes, at_);
    if (!written) error_ = written.error();
    return written.has_value();
  }

  bool land() {
    WindowChunk window;
    if (around_)
      window = std::make_shared<const std::vector<std::byte>>(std::exchange(buffer_, {}));
    // Around, a checksum that nobody will compare: no map is saved.
    const uint64_t checksum = around_ ? 1 : hasher_.finish();
    if (!fill_.landed(chunk_, generation_, checksum, std::move(window), space())) return false;
    chunk_landed();
    return true;
  }

  uint32_t chunk_;  // the one that `at_` lies in
  uint64_t at_;     // offset of the next byte
  bool taking_ = false;
  ChunkHasher hasher_;
  std::vector<std::byte> buffer_;
};

// Of a transfer that claimed its chunks.
class Fill::ClaimSink final : public ChunkSink {
 public:
  ClaimSink(Fill& fill, ChunkMap::Claim& claim, SpaceReservation& space, Priority priority,
            std::stop_token stop)
      : ChunkSink(fill, claim.rest().first, std::move(stop)),
        claim_(claim),
        space_(space),
        priority_(priority) {}

 private:
  Take begin_chunk(uint32_t) override {
    if (priority_ == Priority::kDemand) return Take::kYes;
    hold_back(claim_.rest());
    return Take::kYes;
  }

  SpaceReservation& space() override { return space_; }
  void chunk_landed() override { claim_.landed_first(); }

  ChunkMap::Claim& claim_;
  SpaceReservation& space_;
  const Priority priority_;
};

// Of a pass over the whole image: takes what is missing as it comes by.
class Fill::PassSink final : public ChunkSink {
 public:
  PassSink(Fill& fill, std::stop_token stop) : ChunkSink(fill, 0, std::move(stop)) {}

 private:
  Take begin_chunk(uint32_t chunk) override {
    if (!fill_.wait_until_pass_wanted(chunk, generation_, stop_)) return Take::kStop;
    {
      std::lock_guard lock(fill_.mutex_);
      if (fill_.map_.state(chunk) != ChunkMap::State::kAbsent) return Take::kNo;
    }
    if (around_) return Take::kYes;
    hold_back({chunk, fill_.map_.count()});
    if (auto room = fill_.reserve_ahead(chunk); !room) {
      error_ = room.error();
      return Take::kStop;
    }
    return Take::kYes;
  }

  SpaceReservation& space() override { return fill_.reservation_; }
};

// Around the cache: what the digest's frontier lacks and no reader will bring. A held read needs
// all of it, as far as the window reaches; else a gap before the chunks that readers have now is
// closed, so that the digest follows them and nothing is fetched twice at the end. With mutex_
// held.
ChunkRange Fill::digest_gap() const {
  if (!expected_ || settled_ || frontier_ >= map_.count() ||
      map_.state(frontier_) != ChunkMap::State::kAbsent)
    return {};
  if (must_verify_) return {frontier_, std::min(map_.count(), frontier_ + window_chunks())};
  const auto ahead = window_.lower_bound(frontier_);
  if (ahead == window_.end() || ahead->first - frontier_ > window_chunks()) return {};
  return {frontier_, ahead->first};
}

uint32_t Fill::window_chunks() const {
  return std::max<uint32_t>(4, static_cast<uint32_t>(kWindowBytes / map_.chunk_size()));
}

uint32_t Fill::segment_chunks() const {
  uint64_t bytes = kFirstSegment;
  if (stream_rate_ > 0)
    bytes = std::clamp(static_cast<uint64_t>(stream_rate_ * kSegmentSeconds), kLeastSegment,
                       kMostSegment);
  return std::max<uint32_t>(1, static_cast<uint32_t>(bytes / map_.chunk_size()));
}

// The whole image is wanted, best from chunk `from` on. Called with mutex_ held.
void Fill::start_background(uint32_t from, Actions& actions) {
  if (dead_ || complete_) return;
  cursor_ = from;
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
    // Demand may have brought the last of it meanwhile.
    if (std::lock_guard lock(mutex_); map_.complete()) return;
    return go_around(room.error());
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
  while (background_running_ < kBackgroundStreams && next_segment()) submit_background(actions);
  if (!around_ && map_.complete()) background_ = false;
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
      {
        std::lock_guard lock(mutex_);
        const bool wanted = (background_ || (around_ && must_verify_)) && !dead_ && !complete_;
        if (auto next = wanted ? next_segment() : std::nullopt) {
          if (!around_) cursor_ = next->last;
          map_.claim(*next);
          claim.emplace(self, *next);
        } else {
          --background_running_;
        }
      }
      if (claim) transfer(std::move(*claim), Priority::kBackground, std::move(stop));
    });
  });
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
  const std::chrono::duration<double> took = steady_clock::now() - begin;
  if (!around && space.bytes() > 0) {
    std::lock_guard lock(mutex_);
    if (rest_reserved_) reservation_.merge(std::move(space));  // for whoever fetches the rest
  }
  if (outcome && took.count() > 0) {
    std::lock_guard lock(mutex_);
    const double rate = static_cast<double>(range.size()) / took.count();
    if (range.size() >= kLeastSegment)
      stream_rate_ = stream_rate_ == 0 ? rate : (stream_rate_ + rate) / 2;
  }
  finish_transfer(std::move(claim), sink.generation(), priority, std::move(outcome));
}

void Fill::finish_transfer(ChunkMap::Claim claim, unsigned generation, Priority priority,
                           Result<ReadOutcome> outcome) {
  const ChunkRange rest = claim.take_rest();
  if (!outcome && outcome.error().kind == ErrorKind::kStale) {
    spdlog::warn("{}: changed upstream while it was being read: {}", info_.id.str(),
                 outcome.error().message);
    return die(outcome.error(), Disposal::kDiscard);
  }
  // Cache trouble never fails a read: what the disk does not take is served around it.
  if (!outcome &&
      (outcome.error().kind == ErrorKind::kNoSpace || outcome.error().kind == ErrorKind::kIo))
    go_around(outcome.error());
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    --(priority == Priority::kBackground ? background_running_ : demand_running_);
    if (generation == generation_) map_.release(rest);
    attempts_ += outcome ? outcome->attempts : 1;
    if (!outcome && generation == generation_ && !dead_) {
      const Error& error = outcome.error();
      if (error.kind == ErrorKind::kNoRanges) {
        info_.ranges = RangeSupport::kNo;
        settle_all(actions);
      } else {
        last_error_ = error.message;
        if (priority == Priority::kBackground) {
          // The next reader who goes on starts it again.
          background_ = false;
          if (error.kind != ErrorKind::kCancelled)
            spdlog::warn("{}: background filling stopped: {}", info_.id.str(), error.message);
        }
        for (uint32_t chunk = rest.first; chunk < rest.last; ++chunk) {
          auto [begin, end] = waiting_.equal_range(chunk);
          for (auto at = begin; at != end; ++at)
            actions.answers.push_back({std::move(at->second.done), fail(error), {}, {}});
          waiting_.erase(begin, end);
        }
        if (must_verify_ && !held_.empty() && !background_) {
          for (Waiter& waiter : std::exchange(held_, {}))
            actions.answers.push_back({std::move(waiter.done), fail(error), {}, {}});
        }
      }
    }
    pump_background(actions);
  }
  perform(std::move(actions));
}

// Called with mutex_ held.
void Fill::start_pass(Actions& actions) {
  pass_wanted_.notify_all();
  if (pass_running_ || dead_) return;
  pass_running_ = true;
  const Priority priority =
      waiting_.empty() && background_ ? Priority::kBackground : Priority::kDemand;
  actions.then.push_back([this, self = shared_from_this(), priority] {
    context_.transfers.submit(priority, this,
                              [this, self](std::stop_token stop) { pass(std::move(stop)); });
  });
}

bool Fill::someone_waits_in(ChunkRange chunks) const {
  return std::any_of(waiting_.begin(), waiting_.end(), [chunks](const auto& entry) {
    return entry.first >= chunks.first && entry.first < chunks.last;
  });
}

bool Fill::wait_until_pass_wanted(uint32_t chunk, unsigned generation, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const auto over = [&] { return dead_ || generation != generation_; };
  const auto wanted = [&] {
    const uint32_t most = window_chunks();
    // Hashing is behind, and on its way.
    if (around_ && hashing_ && chunk >= frontier_ + most) return false;
    if (someone_waits_in({chunk, map_.count()})) return true;
    if (!around_) return background_;
    // A window takes some ahead of its readers, or of the digest when a read is held for it.
    return must_verify_ ? chunk < frontier_ + most : window_.size() < most;
  };
  pass_wanted_.wait_for(lock, stop, kPassLingers, [&] { return over() || wanted(); });
  return !over() && !stop.stop_requested() && wanted();
}

void Fill::pass(std::stop_token stop) {
  Result<ReadOutcome> outcome = fail(ErrorKind::kCancelled, "cancelled");
  Status ready;
  if (around()) ready = learn_digest_now();
  PassSink sink(*this, stop);
  if (!ready) {
    outcome = fail(ready.error());
  } else if (!stop.stop_requested()) {
    ImageInfo info = [this] {
      std::lock_guard lock(mutex_);
      if (started_ == steady_clock::time_point{}) started_ = sampled_ = steady_clock::now();
      return info_;
    }();
    outcome = context_.upstream.read(info, {0, info.size}, sink, stop);
    if (sink.error()) outcome = fail(*sink.error());
  }
  if (!outcome && outcome.error().kind == ErrorKind::kStale) {
    spdlog::warn("{}: changed upstream while it was being read: {}", info_.id.str(),
                 outcome.error().message);
    return die(outcome.error(), Disposal::kDiscard);
  }
  if (!outcome &&
      (outcome.error().kind == ErrorKind::kNoSpace || outcome.error().kind == ErrorKind::kIo))
    go_around(outcome.error());
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    pass_running_ = false;
    attempts_ += outcome ? outcome->attempts : 1;
    const bool ended_by_us =
        !outcome && outcome.error().kind == ErrorKind::kCancelled && !stop.stop_requested();
    if (!outcome && !ended_by_us && sink.generation() == generation_ && !dead_) {
      last_error_ = outcome.error().message;
      background_ = false;
      if (outcome.error().kind != ErrorKind::kCancelled)
        spdlog::warn("{}: the pass over it ended: {}", info_.id.str(), outcome.error().message);
      fail_waiters(outcome.error(), actions);
    } else {
      settle_all(actions);  // who came when the pass had gone by
      pump_background(actions);
    }
  }
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

void Fill::note_rate(uint64_t bytes) {
  fetched_ += bytes;
  const auto now = landed_ = steady_clock::now();
  const std::chrono::duration<double> since = now - sampled_;
  if (since.count() < 0.5) return;
  rate_ = static_cast<double>(fetched_ - sampled_bytes_) / since.count();
  sampled_ = now;
  sampled_bytes_ = fetched_;
}

bool Fill::landed(uint32_t chunk, unsigned generation, uint64_t checksum, WindowChunk bytes,
                  SpaceReservation& space) {
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    if (dead_ || generation != generation_) return false;
    const uint64_t size = map_.bytes({chunk, chunk + 1}).size();
    map_.land(chunk, checksum);
    if (!around_) {
      space.use(size);  // here, so that what go_around() gives back is what was counted
    } else {
      if (!window_.contains(chunk)) window_order_.push_back(chunk);
      window_[chunk] = std::move(bytes);
    }
    note_rate(size);
    wake(chunk, actions);
    move_frontier(actions);
    if (around_) trim_window();
  }
  perform(std::move(actions));
  return true;
}

// Forgets the oldest chunks of a full window, those that the digest still needs last. With mutex_
// held.
void Fill::trim_window() {
  const uint32_t most = window_chunks();
  auto at = window_order_.begin();
  while (window_.size() > most && at != window_order_.end()) {
    const bool needed =
        digest_state_ == DigestState::kKnown && expected_ && !settled_ && *at >= frontier_;
    if (needed && window_.size() * map_.chunk_size() <= kUnhashedBytes) {
      ++at;
      continue;
    }
    map_.forget(*at);
    window_.erase(*at);
    at = window_order_.erase(at);
  }
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
    on_disk = map_.present_bytes();
    around_ = true;
    ++generation_;
    map_.forget_all();
    rest_reserved_ = false;
    reservation_ = SpaceReservation();
    last_error_ = why.message;
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
    // Readers being answered right now have its descriptor, which stays open.
    if (auto gone = file_->discard(); !gone)
      spdlog::warn("{}: {}", info_.id.str(), gone.error().message);
    context_.budget.freed(on_disk);
  }
  perform(std::move(actions));
}

}  // namespace imgcachefs
