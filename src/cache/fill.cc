// Fill: its readers.
#include "cache/fill.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace imgcachefs {
namespace {

// A handle that asked for more than this goes on: a scanner looks at a header, of a mebibyte at
// most (file(1)), and the kernel reads ahead of it.
constexpr uint64_t kHeaderBytes = 3 << 19;  // 1.5 MiB
constexpr uint32_t kHeaderChunks = 4;

// The kernel reads ahead of a reader, and not always in order: who goes on comes so near.
constexpr uint64_t kNearBytes = 2 << 20;

}  // namespace

bool Fill::jumps(ByteRange range, const Reader& reader) const {
  return range.begin > reader.next + kNearBytes || range.begin + kNearBytes < reader.next;
}

bool Fill::goes_on(const Reader& reader) const {
  if (context_.config.verify == VerifyMode::kBeforeRead) return true;
  switch (context_.config.fill) {
    case FillMode::kFull:
      return true;
    case FillMode::kDemand:
      return false;
    case FillMode::kAuto:
      break;
  }
  return reader.asked >
         std::max<uint64_t>(kHeaderBytes, uint64_t{kHeaderChunks} * map_.chunk_size());
}

void Fill::read(ByteRange range, Reader& reader, ImageHandle::ReadDone done) {
  range = clip(range, info_.size);
  if (const int fd = complete_fd(); fd >= 0) return done(ImageBytes::in_file(fd, range));
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    // Asked again: since the first look it may have been committed.
    if (const int fd = complete_fd(); fd >= 0) {
      actions.answers.push_back({std::move(done), ImageBytes::in_file(fd, range)});
    } else if (range.empty() && info_.size > 0) {
      actions.answers.push_back({std::move(done), ImageBytes{}});
    } else {
      reader.asked += range.size();
      const ChunkRange chunks = map_.touching(range);
      if (jumps(range, reader) && map_.find(ChunkMap::State::kAbsent, chunks, 1))
        flow_.disturbed(std::chrono::steady_clock::now());
      reader.next = range.end;
      settle(Waiter{range, chunks, std::move(done), false}, actions);
      if (goes_on(reader)) start_background(chunks.last, actions);
    }
  }
  perform(std::move(actions));
}

void Fill::fetch_whole(WholeDone done) {
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    wholes_.push_back(std::move(done));
    if (complete_) {
      settle_wholes({}, actions);
    } else if (dead_ || around_) {
      settle_wholes(fail(dead_ ? *dead_ : *around_because_), actions);
    } else {
      const bool by_readers = background_ && by_readers_;
      start_background(cursor_, actions);
      by_readers_ = by_readers;
      move_frontier(actions);  // it may be all here, and its checksum not known yet
    }
  }
  perform(std::move(actions));
}

// Called with mutex_ held.
void Fill::settle_wholes(const Status& status, Actions& actions) {
  for (WholeDone& done : std::exchange(wholes_, {}))
    actions.then.push_back([done = std::move(done), status] { done(status); });
}

void Fill::settle(Waiter waiter, Actions& actions) {
  if (dead_) {
    actions.answers.push_back({std::move(waiter.done), fail(*dead_)});
    return;
  }
  // All in memory, or all in the file. From the start each time: around the cache, chunks that were
  // here may have been forgotten.
  const bool in_memory = window_.holds(waiter.chunks);
  for (uint32_t chunk = waiter.chunks.first; chunk < waiter.chunks.last && !in_memory; ++chunk) {
    if (map_.state(chunk) == ChunkMap::State::kPresent) continue;
    if (!std::exchange(waiter.waited, true) && map_.state(chunk) == ChunkMap::State::kClaimed)
      ++context_.counters.coalesced;
    want({chunk, waiter.chunks.last}, actions);
    waiting_.emplace(chunk, std::move(waiter));
    pass_wanted_.notify_all();
    return;
  }
  const bool hold =
      context_.config.verify == VerifyMode::kBeforeRead || delivered_->completes(waiter.chunks);
  if (!settled_ && (hold || waiter.held)) {
    held_.push_back(std::move(waiter));
    must_verify_ = true;
    start_background(cursor_, actions);
    move_frontier(actions);
    return;
  }
  delivered_->mark(waiter.chunks);
  answer(std::move(waiter), actions);
}

void Fill::settle_all(Actions& actions) {
  auto waiters = std::exchange(waiting_, {});
  for (auto& [chunk, waiter] : waiters) settle(std::move(waiter), actions);
}

// Asks for what is missing of `chunks` and not on its way.
void Fill::want(ChunkRange chunks, Actions& actions) {
  // Around the cache each transfer costs a round trip and nothing is kept for later: fetch some
  // ahead.
  constexpr uint32_t kAheadBytes = 1 << 20;
  if (around_ && background_)
    chunks.last =
        std::min(map_.count(), chunks.last + std::max(1u, kAheadBytes / map_.chunk_size()));
  if (info_.ranges == RangeSupport::kNo) {
    // A pass that is under way comes by; recorded chunks are looked at as ever.
    if (map_.find(ChunkMap::State::kAbsent, chunks, 1)) start_pass(actions);
  } else {
    const uint32_t most = std::max<uint32_t>(1, (64U << 20) / map_.chunk_size());
    while (!probing()) {
      auto run = map_.find(ChunkMap::State::kAbsent, chunks, most);
      if (!run) break;
      submit_demand(*run, actions);
    }
  }
  while (auto run = map_.find(ChunkMap::State::kRecorded, chunks, map_.count())) {
    map_.claim(*run);
    ++checks_running_;
    auto claim = std::make_shared<ChunkMap::Claim>(shared_from_this(), *run);
    actions.then.push_back([this, self = shared_from_this(), claim] {
      context_.workers.submit([this, self, claim] { check_recorded(std::move(*claim)); });
    });
  }
}

void Fill::answer(Waiter waiter, Actions& actions) {
  if (auto bytes = window_.read(map_, waiter.range))
    actions.answers.push_back({std::move(waiter.done), std::move(*bytes)});
  else
    actions.answers.push_back({std::move(waiter.done), ImageBytes{}, waiter.range, true});
}

void Fill::wake(uint32_t chunk, Actions& actions) {
  auto [begin, end] = waiting_.equal_range(chunk);
  std::vector<Waiter> woken;
  for (auto at = begin; at != end; ++at) woken.push_back(std::move(at->second));
  waiting_.erase(begin, end);
  for (Waiter& waiter : woken) settle(std::move(waiter), actions);
}

void Fill::fail_waiters(const Error& error, Actions& actions) {
  for (auto& [chunk, waiter] : std::exchange(waiting_, {}))
    actions.answers.push_back({std::move(waiter.done), fail(error)});
  for (Waiter& waiter : std::exchange(held_, {}))
    actions.answers.push_back({std::move(waiter.done), fail(error)});
}

void Fill::perform(Actions actions) {
  for (auto& job : actions.then) job();
  for (Actions::Answer& answer : actions.answers) {
    if (answer.from_incomplete) {
      if (auto read = read_incomplete(answer); !read) {
        go_around(read.error());
        ask_again(std::move(answer));
        continue;
      }
    }
    answer.done(std::move(answer.result));
  }
}

// By value: the bytes are read first, and then it is looked whether the file was still ours. A
// descriptor would be read by somebody else, after the look.
Status Fill::read_incomplete(Actions::Answer& answer) {
  const size_t size = answer.range.size();
  if (complete_) {
    answer.result = ImageBytes::in_file(file_->fd(), answer.range);
    return {};
  }
  auto bytes = context_.buffers.take(size);
  auto n = posix::read_at(file_->fd(), {bytes.get(), size}, answer.range.begin);
  const bool ours = file_->intact();
  if (!n) return fail(n.error());
  if (!ours || *n != size)
    return fail(ErrorKind::kStale,
                "another program has begun to fill incomplete/" + info_.id.str());
  answer.result = ImageBytes{-1, 0, size, {{std::move(bytes), size}}};
  return {};
}

// What could not be read was counted as delivered: it is held, so that it does not slip past the
// checksum. In the midst of a commit, too, its outcome says where the bytes are.
void Fill::ask_again(Actions::Answer answer) {
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    settle(Waiter{answer.range, map_.touching(answer.range), std::move(answer.done), true},
           actions);
  }
  perform(std::move(actions));
}

// A claim ended with chunks not landed (its job was dropped): whoever waits for them asks anew.
void Fill::give_back(ChunkRange chunks) {
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    map_.release(chunks);
    for (uint32_t chunk = chunks.first; chunk < chunks.last; ++chunk) wake(chunk, actions);
  }
  perform(std::move(actions));
}

}  // namespace imgcachefs
