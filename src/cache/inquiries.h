// Questions to upstream about single images: one on its way per image, however many want to know.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "base/worker_pool.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// Thread-safe; mutex_ protects waiting_ and silence_.
class Inquiries {
 public:
  using Done = std::function<void(const Result<ImageInfo>&)>;

  // Questions of one try do not queue up behind those that wait with all patience.
  Inquiries(Upstream& upstream, WorkerPool& patient, WorkerPool& brief, std::stop_token stop)
      : upstream_(upstream), patient_(patient), brief_(brief), stop_(std::move(stop)) {}

  // `done` is called once, on a thread of the pool. Of a crowd of questions of one try each would
  // wait for its own: when upstream is silent to one, that is the answer to all who queued behind
  // it.
  void ask(const ImageId& id, Patience patience, Done done) {
    const Key key{id, patience};
    {
      std::lock_guard lock(mutex_);
      auto& waiting = waiting_[key];
      waiting.push_back(std::move(done));
      if (waiting.size() > 1) return;
    }
    (patience == Patience::kOneTry ? brief_ : patient_).submit([this, key, queued = Clock::now()] {
      const auto said = answer(key, queued);
      std::vector<Done> waiting;
      {
        std::lock_guard lock(mutex_);
        waiting = std::move(waiting_.extract(key).mapped());
      }
      for (Done& done : waiting) done(said);
    });
  }

 private:
  using Key = std::pair<ImageId, Patience>;
  using Clock = std::chrono::steady_clock;
  struct Silence {
    Error error;
    Clock::time_point when;
  };

  Result<ImageInfo> answer(const Key& key, Clock::time_point queued) {
    const auto& [id, patience] = key;
    if (patience == Patience::kOneTry) {
      std::lock_guard lock(mutex_);
      if (silence_ && silence_->when >= queued) return fail(silence_->error);
    }
    auto said = upstream_.stat(id, patience, stop_);
    if (patience == Patience::kOneTry && !said && said.error().kind == ErrorKind::kTimeout) {
      std::lock_guard lock(mutex_);
      silence_ = Silence{said.error(), Clock::now()};
    }
    return said;
  }

  Upstream& upstream_;
  WorkerPool& patient_;
  WorkerPool& brief_;
  const std::stop_token stop_;
  std::mutex mutex_;
  std::map<Key, std::vector<Done>> waiting_;
  std::optional<Silence> silence_;  // the last one
};

}  // namespace imgcachefs
