#include "cache/transfer_queue.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace imgcachefs {

TransferQueue::TransferQueue(unsigned connections)
    : image_most_(std::max(1u, connections * 3 / 4)),
      background_most_(std::max(1u, connections - 1)) {
  for (unsigned i = 0; i < connections; ++i) {
    threads_.emplace_back([this] { run(); });
    pthread_setname_np(threads_.back().native_handle(), "transfer");
  }
}

TransferQueue::~TransferQueue() {
  close();
}

void TransferQueue::close() {
  stop();
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
}

void TransferQueue::submit(Priority priority, const void* image, Job job) {
  {
    std::unique_lock lock(mutex_);
    if (closing_) {
      lock.unlock();
      return job(stop_.get_token());
    }
    jobs_[static_cast<size_t>(priority)].push_back({image, std::move(job)});
  }
  wake_.notify_one();
}

bool TransferQueue::demand_waits() const {
  std::lock_guard lock(mutex_);
  return !jobs_[static_cast<size_t>(Priority::kDemand)].empty();
}

void TransferQueue::stop() {
  stop_.request_stop();
}

std::optional<TransferQueue::Entry> TransferQueue::take(bool& background) {
  for (auto& queue : jobs_) {
    background = &queue == &jobs_[static_cast<size_t>(Priority::kBackground)];
    if (background && background_running_ >= background_most_ && !closing_) continue;
    auto next = std::find_if(queue.begin(), queue.end(), [this](const Entry& entry) {
      auto at = running_.find(entry.image);
      return closing_ || at == running_.end() || at->second < image_most_;
    });
    if (next == queue.end()) continue;
    Entry entry = std::move(*next);
    queue.erase(next);
    return entry;
  }
  return std::nullopt;
}

void TransferQueue::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    bool background = false;
    auto entry = take(background);
    if (!entry) {
      if (closing_) return;
      wake_.wait(lock);
      continue;
    }
    if (background) ++background_running_;
    ++running_[entry->image];
    lock.unlock();
    entry->job(stop_.get_token());
    entry->job = nullptr;
    lock.lock();
    if (background) --background_running_;
    if (--running_[entry->image] == 0) running_.erase(entry->image);
    // A job may have been passed over because of this one; this thread takes the next itself.
    if (!jobs_[0].empty() || !jobs_[1].empty()) wake_.notify_one();
  }
}

}  // namespace imgcachefs
