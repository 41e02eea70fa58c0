// The transfers: a fixed number of threads (`connections`), each with one transfer at a time,
// demand before background.
//
// A reader is waiting for a demand transfer; nobody in particular for a background one. Demand jobs
// are taken first, and while there are at least two threads one of them never takes a background
// job, so a reader's request goes out at once however much is being filled. Background jobs are
// short (fill.h), so with a single thread a demand job waits for one of them at most. No image has
// more than three quarters of the threads, so that one on which upstream is silent does not take
// them all.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <unordered_map>
#include <vector>

namespace imgcachefs {

enum class Priority { kDemand, kBackground };

class TransferQueue {
 public:
  using Job = std::function<void(std::stop_token stop)>;

  explicit TransferQueue(unsigned connections);
  ~TransferQueue();  // close()
  TransferQueue(const TransferQueue&) = delete;
  TransferQueue& operator=(const TransferQueue&) = delete;

  // Thread-safe. `image`: any address that stands for the image the job is for.
  void submit(Priority priority, const void* image, Job job);
  // A demand job waits for a running one to end.
  bool demand_waits() const;
  // Asks the running jobs to end, and runs those that still come with a stop already requested:
  // each job runs once, so that whoever waits for it is answered.
  void stop();
  // stop(), and joins; jobs that come after run on the thread that submits them. Not from a job.
  void close();

 private:
  struct Entry {
    const void* image;
    Job job;
  };
  void run();
  // Takes out the next job that may run now, demand before background; with mutex_ held.
  std::optional<Entry> take(bool& background);

  mutable std::mutex
      mutex_;  // protects what follows but the threads; held for pushes and pops only
  std::condition_variable wake_;
  std::array<std::deque<Entry>, 2> jobs_;              // by Priority
  std::unordered_map<const void*, unsigned> running_;  // by image
  unsigned background_running_ = 0;
  bool closing_ = false;
  const unsigned image_most_;
  const unsigned background_most_;
  std::stop_source stop_;
  std::vector<std::thread> threads_;
};

}  // namespace imgcachefs
