// A named thread that does one thing every so often, and at once when poked. Joined by stop() or
// the destructor, between two rounds.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace imgcachefs {

class PeriodicTask {
 public:
  PeriodicTask(std::string name, std::chrono::milliseconds every, std::function<void()> round);
  ~PeriodicTask();
  PeriodicTask(const PeriodicTask&) = delete;
  PeriodicTask& operator=(const PeriodicTask&) = delete;

  void poke();  // a round begins as soon as the one under way is over
  void stop();  // not from within a round

 private:
  void run();

  const std::chrono::milliseconds every_;
  const std::function<void()> round_;
  std::mutex mutex_;  // protects poked_ and stopping_
  std::condition_variable wake_;
  bool poked_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace imgcachefs
