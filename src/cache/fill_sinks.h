// Where the bytes of a transfer go: private parts of Fill, seen by fill_transfer.cc and
// fill_pass.cc.
#pragma once

#include <cstring>
#include <thread>

#include "cache/fill.h"

namespace imgcachefs {

// Cuts what arrives into chunks, writes them, and lands each as it is whole.
//
// What the network brings comes in pieces of any length. A chunk is put together in memory first
// and written at once: pages of a file that are written as a whole, many at a time, cost the kernel
// a quarter of what they cost in pieces that end in their midst. And who wants the chunk next, a
// reader or the digest, gets it from there. Chunks that are too large for that are written in
// parts.
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
    if (!first_byte_) first_byte_ = std::chrono::steady_clock::now();
    while (!bytes.empty()) {
      const ByteRange whole = fill_.map_.bytes({chunk_, chunk_ + 1});
      if (at_ == whole.begin) {
        const Take take = begin_chunk(chunk_);
        if (take == Take::kStop) return false;
        taking_ = take == Take::kYes;
        if (taking_) begin_part(whole);
      }
      const size_t n = std::min<uint64_t>(bytes.size(), whole.end - at_);
      if (taking_ && !keep(bytes.first(n), whole)) return false;
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
  const std::optional<std::chrono::steady_clock::time_point>& first_byte() const {
    return first_byte_;
  }
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
    const auto until = std::chrono::steady_clock::now() + throttle.take(bytes);
    std::unique_lock lock(fill_.mutex_);
    const auto needed = [&] {
      return fill_.dead_ || !fill_.held_.empty() || fill_.someone_waits_in(mine) ||
             fill_.context_.transfers.demand_waits();
    };
    while (std::chrono::steady_clock::now() < until && !stop_.stop_requested()) {
      if (needed()) return throttle.give_back(bytes);
      fill_.pass_wanted_.wait_for(
          lock, std::min<std::chrono::steady_clock::duration>(
                    until - std::chrono::steady_clock::now(), std::chrono::milliseconds(20)));
    }
  }

  Fill& fill_;
  const std::stop_token stop_;
  std::optional<Error> error_;
  std::optional<std::chrono::steady_clock::time_point> first_byte_;
  unsigned generation_ = 0;
  bool around_ = false;

 private:
  static constexpr uint64_t kMostBuffered = 256 << 10;  // bytes of a chunk that is to be written
  static constexpr uint64_t kLookEvery = 1 << 20;       // bytes
  static constexpr uint64_t kWriteBackEvery = 2 << 20;  // bytes

  void begin_part(ByteRange whole) {
    const uint64_t most = around_ ? whole.size() : kMostBuffered;
    part_ = {at_, std::min(whole.end, at_ + most)};
    // What a reader or a job holds on to stays his.
    buffer_ = fill_.context_.buffers.take(part_.size());
  }

  // `bytes` lie in one chunk, which is `whole`.
  bool keep(std::span<const std::byte> bytes, ByteRange whole) {
    for (uint64_t at = at_; !bytes.empty();) {
      const size_t n = std::min<uint64_t>(bytes.size(), part_.end - at);
      std::memcpy(buffer_.get() + (at - part_.begin), bytes.data(), n);
      at += n;
      bytes = bytes.subspan(n);
      if (at < part_.end || around_) continue;
      if (part_ == whole) fill_.arrived(chunk_, generation_, {buffer_, part_.size()});
      if (!write_part()) return false;
      if (at == whole.end) break;
      part_ = {at, std::min(whole.end, at + kMostBuffered)};
    }
    return true;
  }

  bool write_part() {
    const std::span<const std::byte> part(buffer_.get(), part_.size());
    hasher_.update(part.data(), part.size());
    const int fd = fill_.file_->fd();
    if (auto written = posix::write_at(fd, part, part_.begin); !written) {
      error_ = written.error();
      return false;
    }
    // The commit waits for the disk: so little is left to be written then.
    if (part_.begin != written_.end) written_ = {part_.begin, part_.begin};
    written_.end = part_.end;
    if (written_.size() >= kWriteBackEvery) {
      posix::start_write_back(fd, written_.begin, written_.size());
      written_.begin = written_.end;
    }
    return true;
  }

  bool land() {
    if (!around_ && at_ >= look_at_) {
      look_at_ = at_ + kLookEvery;
      // Not what keeps harm from anybody, but what notices first.
      fill_.file_->reclaim();
      if (!fill_.file_->intact()) {
        error_ = Error{ErrorKind::kIo,
                       "another program has begun to fill incomplete/" + fill_.info_.id.str()};
        return false;
      }
    }
    SharedBytes bytes;
    if (around_) bytes = {buffer_, part_.size()};
    buffer_.reset();
    // Around, a checksum that nobody will compare: no map is saved.
    const uint64_t checksum = around_ ? 1 : hasher_.finish();
    if (!fill_.landed(chunk_, generation_, checksum, std::move(bytes), space())) return false;
    chunk_landed();
    return true;
  }

  uint32_t chunk_;  // the one that `at_` lies in
  uint64_t at_;     // offset of the next byte
  bool taking_ = false;
  ByteRange part_;  // what of the chunk is put together in buffer_
  std::shared_ptr<std::byte[]> buffer_;
  ChunkHasher hasher_;
  ByteRange written_;  // that the disk was not asked to take yet
  uint64_t look_at_ = 0;
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
      // What is claimed was asked for as a range before it was known that there are none: that
      // transfer brings nothing, and the pass comes by only once.
      const auto state = fill_.map_.state(chunk);
      const bool hopeless = state == ChunkMap::State::kClaimed && fill_.checks_running_ == 0;
      if (state != ChunkMap::State::kAbsent && !hopeless) return Take::kNo;
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

}  // namespace imgcachefs
