#include "cache/prefetcher.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "base/log.h"

namespace imgcachefs {
namespace {

bool later(const struct timespec& a, const struct timespec& b) {
  return std::tie(a.tv_sec, a.tv_nsec) > std::tie(b.tv_sec, b.tv_nsec);
}

}  // namespace

Prefetcher::Prefetcher(const CacheLayout& layout, Fetch fetch, PrefetchPace pace, Clock clock)
    : queue_(layout),
      layout_(layout),
      fetch_(std::move(fetch)),
      pace_(pace),
      clock_(std::move(clock)),
      random_(std::random_device{}()) {}

void Prefetcher::start() {
  task_ = std::make_unique<PeriodicTask>("prefetcher", pace_.look_every, [this] { round(); });
  task_->poke();
}

void Prefetcher::stop() {
  if (task_) task_->stop();
}

// What is queued and not cached, in order. What became cached, whoever did it, leaves the queue;
// but the entry of an image that is being fetched is the commit's to take out, when its row is
// there.
std::vector<StoredFile> Prefetcher::uncached() {
  std::string trouble;
  auto queued = queue_.images();
  if (!queued) {
    trouble = queued.error().message;
    queued.emplace();
  }
  std::set<ImageId> running;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, attempt] : tries_)
      if (attempt.running) running.insert(id);
  }
  std::erase_if(*queued, [&](const StoredFile& file) {
    if (running.contains(file.id)) return false;
    auto st = posix::stat_at(layout_.dir(Place::kCached), file.id.str());
    if (!st || !S_ISREG(st->st_mode)) return false;
    if (auto gone = queue_.remove(file.id); !gone) trouble = gone.error().message;
    return true;
  });
  if (!trouble.empty() && trouble != trouble_) spdlog::warn("the queue: {}", trouble);
  trouble_ = std::move(trouble);
  return std::move(*queued);
}

void Prefetcher::round() {
  const std::vector<StoredFile> queued = uncached();
  std::set<ImageId> there;
  for (const StoredFile& file : queued) there.insert(file.id);
  std::vector<ImageId> begun;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(tries_, [&](const auto& entry) {
      return !entry.second.running && !there.contains(entry.first);
    });
    const auto now = clock_();
    for (const StoredFile& file : queued) {
      if (running_ >= pace_.at_once || alone_) break;
      auto [at, fresh] = tries_.try_emplace(file.id);
      Try& attempt = at->second;
      if (attempt.running) continue;
      // Whoever is fetched now has room promised, or keeps what could make room: nobody later goes
      // before.
      if (attempt.lacked_room && (running_ > 0 || attempt.next > now)) break;
      if (!fresh && attempt.next > now && !later(file.st.st_ctim, attempt.asked)) continue;
      attempt.asked = file.st.st_ctim;
      attempt.running = true;
      alone_ = attempt.alone = std::exchange(attempt.lacked_room, false);
      ++running_;
      begun.push_back(file.id);
    }
  }
  for (const ImageId& id : begun)
    fetch_(id, [this, id](const Status& status) { finished(id, status); });
}

void Prefetcher::finished(const ImageId& id, const Status& status) {
  bool say = false;
  std::chrono::milliseconds wait{0};
  {
    std::lock_guard lock(mutex_);
    Try& attempt = tries_.at(id);
    attempt.running = false;
    --running_;
    alone_ = false;
    if (status) {
      // Its entry went with the commit; if it did not stay cached it is queued still, and begun
      // anew.
      tries_.erase(id);
    } else if (status.error().kind == ErrorKind::kCancelled) {
      attempt.next = clock_() + pace_.look_every;
    } else if (status.error().kind == ErrorKind::kStale && !attempt.changed) {
      // Another version is there now: that one is wanted. An image that changes all the time is
      // left alone for a while, though.
      attempt.changed = true;
      attempt.next = clock_();
    } else if (status.error().kind == ErrorKind::kNoSpace && !attempt.alone) {
      attempt.lacked_room = true;
      attempt.next = clock_() + pace_.look_every;
    } else {
      attempt.changed = false;
      say = !attempt.error || attempt.error->kind != status.error().kind;
      attempt.error = status.error();
      // It was fetched to its end, for nothing: not again every few seconds.
      const bool corrupt = status.error().kind == ErrorKind::kCorrupt;
      wait = pause(++attempt.failures, corrupt ? pace_.longest_pause : pace_.first_pause);
      attempt.next = clock_() + wait;
    }
  }
  if (say)
    spdlog::warn("{}: cannot be cached now and stays queued: {}; tried again in {} s", id.str(),
                 status.error().message,
                 std::chrono::duration_cast<std::chrono::seconds>(wait).count());
  const bool cancelled = !status && status.error().kind == ErrorKind::kCancelled;
  if (task_ && !cancelled) task_->poke();  // for the next one
}

void Prefetcher::try_all_now() {
  {
    std::lock_guard lock(mutex_);
    for (auto& [id, attempt] : tries_) attempt.next = clock_();
  }
  if (task_) task_->poke();
}

std::chrono::milliseconds Prefetcher::pause(unsigned failures, std::chrono::milliseconds first) {
  auto pause = first;
  for (unsigned i = 1; i < failures && pause < pace_.longest_pause; ++i) pause *= 2;
  pause = std::min(pause, pace_.longest_pause);
  // Hosts that failed together shall not come back together.
  return pause + pause * static_cast<int>(random_() % 100) / 1000;
}

std::vector<QueueStatus> Prefetcher::status() const {
  std::lock_guard lock(mutex_);
  std::vector<QueueStatus> all;
  const auto wall = std::chrono::system_clock::now();
  const auto now = clock_();
  for (const auto& [id, attempt] : tries_) {
    QueueStatus status{id, attempt.failures, attempt.error, std::nullopt};
    if (!attempt.running)
      status.next_try = wall + std::chrono::duration_cast<WallTime::duration>(attempt.next - now);
    all.push_back(std::move(status));
  }
  return all;
}

}  // namespace imgcachefs
