#include "base/periodic_task.h"

#include <pthread.h>

#include <utility>

namespace imgcachefs {

PeriodicTask::PeriodicTask(std::string name, std::chrono::milliseconds every,
                           std::function<void()> round)
    : every_(every), round_(std::move(round)), thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), name.c_str());
}

PeriodicTask::~PeriodicTask() {
  stop();
}

void PeriodicTask::poke() {
  {
    std::lock_guard lock(mutex_);
    poked_ = true;
  }
  wake_.notify_one();
}

void PeriodicTask::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void PeriodicTask::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait_for(lock, every_, [this] { return stopping_ || poked_; });
    if (stopping_) return;
    poked_ = false;
    lock.unlock();
    round_();
    lock.lock();
  }
}

}  // namespace imgcachefs
