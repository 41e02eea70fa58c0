// A process that stands still (SIGSTOP) as long as this lives, a child of ours. What would wait for
// it for ever waits for kPatience: then it goes on again, and gave_up() says so.
//
//     Stopped daemon(mount.pid());
//     ...what must not need it...
//     EXPECT_FALSE(daemon.gave_up());
#pragma once

#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace imgcachefs::test {

class Stopped {
 public:
  static constexpr std::chrono::seconds kPatience{20};

  explicit Stopped(pid_t pid) : pid_(pid) {
    ::kill(pid, SIGSTOP);
    ::waitpid(pid, nullptr, WUNTRACED);
    watchdog_ = std::thread([this] {
      std::unique_lock lock(mutex_);
      if (over_.wait_for(lock, kPatience, [this] { return done_; })) return;
      gave_up_ = true;
      ::kill(pid_, SIGCONT);
    });
  }
  ~Stopped() {
    {
      std::lock_guard lock(mutex_);
      done_ = true;
    }
    over_.notify_one();
    watchdog_.join();
    ::kill(pid_, SIGCONT);
  }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;

  bool gave_up() const { return gave_up_; }

 private:
  const pid_t pid_;
  std::mutex mutex_;  // protects done_
  std::condition_variable over_;
  bool done_ = false;
  std::atomic<bool> gave_up_{false};
  std::thread watchdog_;
};

}  // namespace imgcachefs::test
