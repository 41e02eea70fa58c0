// Fill: chunks of an earlier run, the digest, and the commit.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cache/fill.h"

namespace imgcachefs {
namespace {

constexpr uint32_t kHashBytes = 1 << 20;  // read and hashed at a time
constexpr int kHashRounds = 64;           // then other images get their turn

}  // namespace

void Fill::take_up(std::vector<ChunkChecksum> recorded) {
  std::lock_guard lock(mutex_);
  for (auto [chunk, checksum] : recorded)
    if (chunk < map_.count()) map_.record(chunk, checksum);
}

// Compares chunks that a saved map speaks of with what is in the file: a chunk harmed meanwhile, or
// one whose data did not outlive a crash, is fetched again.
void Fill::check_recorded(ChunkMap::Claim claim) {
  std::vector<std::byte> bytes;
  while (!claim.rest().empty()) {
    const uint32_t chunk = claim.rest().first;
    const ByteRange range = map_.bytes({chunk, chunk + 1});
    uint64_t checksum;
    {
      std::lock_guard lock(mutex_);
      if (dead_ || around_) break;
      checksum = map_.checksum(chunk);
    }
    bytes.resize(range.size());
    auto n = posix::read_at(file_->fd(), bytes, range.begin);
    const bool right =
        n && *n == bytes.size() && chunk_checksum(bytes.data(), bytes.size()) == checksum;
    claim.landed_first();
    Actions actions;
    {
      std::lock_guard lock(mutex_);
      if (around_) break;
      if (right) {
        map_.land(chunk, checksum);
      } else {
        spdlog::warn("{}: bytes {}-{} on disk are not what was fetched; they are fetched again",
                     info_.id.str(), range.begin, range.end - 1);
        map_.release({chunk, chunk + 1});
      }
      wake(chunk, actions);
      move_frontier(actions);
    }
    perform(std::move(actions));
  }
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    --checks_running_;
    pump_background(actions);
  }
  perform(std::move(actions));
}

// Called with mutex_ held.
void Fill::learn_digest(Actions& actions) {
  if (digest_state_ != DigestState::kUnknown || dead_) return;
  digest_state_ = DigestState::kAsking;
  actions.then.push_back([this, self = shared_from_this()] {
    context_.askers.submit(
        [this, self] { digest_learnt(context_.upstream.digest(info_, false, context_.stop)); });
  });
}

// From a transfer's thread, when nothing can be fetched before the digest is known.
Status Fill::learn_digest_now() {
  {
    std::lock_guard lock(mutex_);
    if (digest_state_ == DigestState::kKnown) return {};
  }
  // One that is being asked for is asked for again: upstream makes one request of the two.
  auto digest = context_.upstream.digest(info_, false, context_.stop);
  Status status;
  if (!digest) status = fail(digest.error());
  digest_learnt(std::move(digest));
  return status;
}

void Fill::digest_learnt(Result<std::optional<Digest>> digest) {
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    if (digest_state_ == DigestState::kKnown || dead_) return;
    if (!digest) {
      // Not known is not the same as not published: nothing is called right on that account.
      digest_state_ = DigestState::kUnknown;
      last_error_ = digest.error().message;
      spdlog::warn("{}: its checksum cannot be learnt: {}", info_.id.str(), digest.error().message);
      for (Waiter& waiter : std::exchange(held_, {}))
        actions.answers.push_back({std::move(waiter.done), fail(digest.error())});
      settle_wholes(fail(digest.error()), actions);
    } else {
      digest_state_ = DigestState::kKnown;
      expected_ = std::move(*digest);
      if (expected_) hasher_.emplace(expected_->algo);
      frontier_ = 0;
      move_frontier(actions);
    }
  }
  perform(std::move(actions));
}

// Sends off what can be done next towards the commit. Called with mutex_ held whenever chunks
// landed or a read is held.
void Fill::move_frontier(Actions& actions) {
  if (dead_ || complete_ || hashing_ || settled_) return;
  const bool whole = !around_ && map_.complete();
  if (whole) background_ = false;
  if (digest_state_ != DigestState::kKnown) {
    if (whole || must_verify_) learn_digest(actions);
    return;
  }
  void (Fill::*next)() = nullptr;
  if (!expected_) {
    if (around_) return settled(actions);  // there is nothing to compare
    if (whole) next = &Fill::commit;
  } else if (frontier_ == map_.count()) {
    next = &Fill::conclude;
  } else if (map_.state(frontier_) == ChunkMap::State::kPresent) {
    next = &Fill::hash_some;
  }
  if (!next) {
    // Around the cache nobody else may bring what the frontier waits for.
    if (around_) pump_background(actions);
    return;
  }
  hashing_ = true;
  actions.then.push_back([this, self = shared_from_this(), next] {
    context_.workers.submit([this, self, next] { (this->*next)(); });
  });
}

void Fill::hash_some() {
  const uint32_t most = std::max(1u, kHashBytes / map_.chunk_size());
  std::vector<std::byte> bytes;
  for (int round = 0; round < kHashRounds && !context_.stop.stop_requested(); ++round) {
    std::optional<ChunkRange> run;
    std::vector<SharedBytes> window;
    {
      std::lock_guard lock(mutex_);
      if (dead_) break;
      run = map_.find(ChunkMap::State::kPresent, {frontier_, map_.count()}, most);
      if (!run || run->first != frontier_) break;
      for (uint32_t chunk = run->first; chunk < run->last; ++chunk) {
        auto in_memory = window_.find(chunk);
        if (!in_memory) break;
        window.push_back(std::move(in_memory));
      }
      if (!window.empty()) run->last = run->first + static_cast<uint32_t>(window.size());
    }
    if (window.empty()) {
      const ByteRange range = map_.bytes(*run);
      bytes.resize(range.size());
      auto n = posix::read_at(file_->fd(), bytes, range.begin);
      // Looked at after it was read: see image_file.h.
      if (!n || *n != bytes.size() || !file_->intact()) {
        go_around(n ? Error{ErrorKind::kStale,
                            "another program has begun to fill incomplete/" + info_.id.str()}
                    : n.error());
        break;
      }
      hasher_->update(bytes);
    } else {
      for (const SharedBytes& chunk : window) hasher_->update(chunk.span());
    }
    Actions actions;
    {
      std::lock_guard lock(mutex_);
      frontier_ = run->last;
      if (around_) {
        trim_window();
        pump_background(actions);
      }
    }
    perform(std::move(actions));
  }
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    hashing_ = false;
    move_frontier(actions);
  }
  perform(std::move(actions));
}

// The whole image was hashed.
void Fill::conclude() {
  const Digest actual = hasher_->finish();
  if (actual == *expected_) return found_right();
  // A list of checksums may have been older than the image: it is asked for anew before we judge.
  // Not here: other images wait for this thread, and upstream may be silent.
  context_.askers.submit([this, self = shared_from_this(), actual] {
    judge(actual, context_.upstream.digest(info_, true, context_.stop));
  });
}

// The bytes have another digest than was expected; `fresh` is what upstream publishes now.
void Fill::judge(const Digest& actual, Result<std::optional<Digest>> fresh) {
  const bool again = !fresh || (*fresh && (*fresh)->algo != expected_->algo);
  if (again) {
    {
      std::lock_guard lock(mutex_);
      digest_state_ = DigestState::kUnknown;
      hashing_ = false;
    }
    return digest_learnt(std::move(fresh));
  }
  if (!*fresh || **fresh != actual) {
    // The list may be of a newer version than these bytes: then they are outdated and not corrupt.
    auto now = context_.upstream.stat(info_.id, Patience::kFull, context_.stop);
    if (now && (now->size != info_.size || !now->validator.same_version(info_.validator)))
      return supersede(fmt::format("{}: changed upstream while it was being read", info_.id.str()));
    const Digest& wanted = *fresh ? **fresh : *expected_;
    Error corrupt{ErrorKind::kCorrupt,
                  fmt::format("{}: wrong checksum: {} is published, the bytes have {}",
                              info_.id.str(), wanted.tagged(), actual.tagged())};
    spdlog::error("{}{}", corrupt.message, around() ? "" : "; moved to invalid/");
    return die(std::move(corrupt), Disposal::kQuarantine);
  }
  {
    std::lock_guard lock(mutex_);
    expected_ = **fresh;
  }
  found_right();
}

void Fill::found_right() {
  {
    std::lock_guard lock(mutex_);
    verified_ = true;
  }
  commit();
}

// The one way in which an image becomes cached.
void Fill::commit() {
  {
    std::lock_guard lock(mutex_);
    committing_ = !around_;
  }
  if (committing_) {
    {
      std::lock_guard lock(map_mutex_);
      map_closed_ = true;
      map_file_.reset();
    }
    const auto observer = observer_.lock();
    if (observer) observer->fill_committing(*this, file_->fd());
    auto committed = file_->commit();
    if (!committed && committed.error().kind == ErrorKind::kNotFound) committed = commit_again();
    if (committed) {
      complete_.store(true, std::memory_order_release);
      if (observer) observer->fill_committed(*this);
    } else {
      {
        std::lock_guard lock(mutex_);
        committing_ = false;
      }
      go_around(committed.error());
    }
  }
  Actions actions;
  {
    std::lock_guard lock(mutex_);
    hashing_ = false;
    background_ = false;
    reservation_ = SpaceReservation();
    if (complete_) {
      const auto elapsed = std::chrono::steady_clock::now() - started_;
      if (fetched_ > 0) context_.counters.took.observe(elapsed);
      const std::chrono::duration<double> took = elapsed;
      const double seconds = fetched_ == 0 ? 0 : took.count();
      spdlog::info("fetched {}: {} bytes in {:.2f} s, {:.1f} MB/s, {} attempts, {}", info_.id.str(),
                   fetched_, seconds,
                   seconds > 0 ? static_cast<double>(fetched_) / 1e6 / seconds : 0.0, attempts_,
                   verified_ ? expected_->tagged() : std::string("no checksum published"));
      last_error_.clear();
    }
    settled(actions);
  }
  perform(std::move(actions));
}

// Somebody took incomplete/<id> away. Its bytes are all here and right, in a file without a name.
Status Fill::commit_again() {
  {
    std::lock_guard lock(mutex_);
    if (dead_) return fail(*dead_);
  }
  auto room = reserve(info_.size);
  if (!room) return fail(room.error());
  if (auto begun = file_->begin_again(); !begun) return begun;
  room->use(info_.size);
  spdlog::info("{}: its incomplete file was removed by somebody; written again", info_.id.str());
  return file_->commit();
}

// Called with mutex_ held.
void Fill::settled(Actions& actions) {
  settled_ = true;
  must_verify_ = false;
  if (complete_) {
    window_.clear();
    settle_wholes({}, actions);
  }
  for (Waiter& waiter : std::exchange(held_, {})) {
    if (complete_)
      actions.answers.push_back(
          {std::move(waiter.done), ImageBytes::in_file(file_->fd(), waiter.range)});
    else
      settle(std::move(waiter), actions);
  }
}

}  // namespace imgcachefs
