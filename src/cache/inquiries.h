// Questions to upstream about single images: one on its way per image, however many want to know.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <vector>

#include "base/worker_pool.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// Thread-safe; mutex_ protects waiting_.
class Inquiries {
 public:
  using Done = std::function<void(const Result<ImageInfo>&)>;

  // Questions of one try do not queue up behind those that wait with all patience.
  Inquiries(Upstream& upstream, WorkerPool& patient, WorkerPool& brief, std::stop_token stop)
      : upstream_(upstream), patient_(patient), brief_(brief), stop_(std::move(stop)) {}

  // `done` is called once, on a thread of the pool.
  void ask(const ImageId& id, Patience patience, Done done) {
    const Key key{id, patience};
    {
      std::lock_guard lock(mutex_);
      auto& waiting = waiting_[key];
      waiting.push_back(std::move(done));
      if (waiting.size() > 1) return;
    }
    (patience == Patience::kOneTry ? brief_ : patient_).submit([this, key] {
      const auto said = upstream_.stat(key.first, key.second, stop_);
      std::vector<Done> waiting;
      {
        std::lock_guard lock(mutex_);
        waiting = std::move(waiting_.extract(key).mapped());
      }
      for (Done& answer : waiting) answer(said);
    });
  }

 private:
  using Key = std::pair<ImageId, Patience>;

  Upstream& upstream_;
  WorkerPool& patient_;
  WorkerPool& brief_;
  const std::stop_token stop_;
  std::mutex mutex_;
  std::map<Key, std::vector<Done>> waiting_;
};

}  // namespace imgcachefs
