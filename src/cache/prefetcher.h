// Prefetcher: caches what is queued (image_queue.h), oldest first, a few images at a time, in the
// background and below what readers ask for.
//
// The queue directory is the truth: it is looked at every second, by a thread of its own, and an
// entry goes when its image is cached. What fails stays queued, as Glance has it (an image that
// does not exist yet, or is not active yet, may come), and is tried again after a pause that grows.
// Only these pauses are kept in memory, so a new daemon begins with the oldest again. What is taken
// out of the queue is not tried again; a fetch of it that is under way goes on.
//
// Thread-safe; mutex_ protects tries_ and random_, and is not held while the directory is read or
// an image is asked for.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "base/periodic_task.h"
#include "cache/image_queue.h"
#include "cache/store_status.h"

namespace imgcachefs {

struct PrefetchPace {
  unsigned at_once = 3;                             // images
  std::chrono::milliseconds look_every{1000};       // at the queue
  std::chrono::milliseconds first_pause{5000};      // after a failure; doubled by each one more
  std::chrono::milliseconds longest_pause{600000};  // and after a wrong checksum from the first on
};

class Prefetcher {
 public:
  using Done = std::function<void(Status)>;
  // Caches a whole image. Tells once, on any thread and also before it returns, what came of it;
  // kCancelled is no failure of the image. Never waits.
  using Fetch = std::function<void(const ImageId& id, Done done)>;
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  // `layout` and what `fetch` uses outlive this, and every `done` is called before this ends.
  Prefetcher(const CacheLayout& layout, Fetch fetch, PrefetchPace pace = {},
             Clock clock = std::chrono::steady_clock::now);

  void start();  // once; before: nothing is taken up
  void stop();   // nothing is begun any more; what is under way is the owner's to end

  void try_all_now();  // whatever pause there was to be

  // One look at the queue, as start() has it done again and again.
  void round();

  // What was tried, or is being tried, and is queued still as far as is known; by ID.
  std::vector<QueueStatus> status() const;

 private:
  struct Try {
    struct timespec asked {};  // ctime of its queue file: a newer one is asked for anew
    bool running = false;
    bool changed = false;  // upstream, while it was fetched; and it was begun anew
    // An image that was just cached is in use for a moment more, and others that are being fetched
    // need room too: what lacks room is tried once more with nothing beside it.
    bool lacked_room = false, alone = false;
    unsigned failures = 0;
    std::optional<Error> error;
    std::chrono::steady_clock::time_point next{};
  };
  std::vector<StoredFile> uncached();
  void finished(const ImageId& id, const Status& status);
  // `first`: after the first failure. With mutex_ held.
  std::chrono::milliseconds pause(unsigned failures, std::chrono::milliseconds first);

  const ImageQueue queue_;
  const CacheLayout& layout_;
  const Fetch fetch_;
  const PrefetchPace pace_;
  const Clock clock_;

  mutable std::mutex mutex_;
  std::map<ImageId, Try> tries_;
  unsigned running_ = 0;
  bool alone_ = false;  // what is running lacked room beside others: nothing is begun beside it
  std::minstd_rand random_;

  std::string trouble_;  // the queue's own, said once; of round() alone
  std::unique_ptr<PeriodicTask> task_;
};

}  // namespace imgcachefs
