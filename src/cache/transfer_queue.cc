#include "cache/transfer_queue.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace imgcachefs {

TransferQueue::TransferQueue(unsigned connections)
    : background_most_(std::max(1u, connections - 1)) {
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

void TransferQueue::submit(Priority priority, Job job) {
  {
    std::unique_lock lock(mutex_);
    if (closing_) {
      lock.unlock();
      return job(stop_.get_token());
    }
    jobs_[static_cast<size_t>(priority)].push_back(std::move(job));
  }
  wake_.notify_one();
}

void TransferQueue::stop() {
  stop_.request_stop();
}

bool TransferQueue::has_work() const {
  return !jobs_[0].empty() ||
         (!jobs_[1].empty() && (background_running_ < background_most_ || closing_));
}

void TransferQueue::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return closing_ || has_work(); });
    if (!has_work()) return;
    const bool background = jobs_[0].empty();
    auto& queue = jobs_[background ? 1 : 0];
    Job job = std::move(queue.front());
    queue.pop_front();
    if (background) ++background_running_;
    lock.unlock();
    job(stop_.get_token());
    job = nullptr;
    lock.lock();
    // A background job may have been passed over because of this one.
    if (background && background_running_-- == background_most_) wake_.notify_one();
  }
}

}  // namespace imgcachefs
