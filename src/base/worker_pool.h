// A fixed number of named threads that run jobs in the order they were given. close(), or the
// destructor, runs what is queued and joins; jobs watch their own stop tokens to end early. Every
// job runs: one that comes after close() runs on the thread that submits it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace imgcachefs {

class WorkerPool {
 public:
  using Job = std::function<void()>;

  WorkerPool(std::string name,
             unsigned threads);  // name: at most 15 characters, as the kernel shows it
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void submit(Job job);  // from any thread, a job's own included
  void close();          // not from a job

 private:
  void run();

  std::mutex mutex_;  // protects what follows; held for pushes and pops only
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool closing_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace imgcachefs
