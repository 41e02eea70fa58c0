// Departures: tells the askers of parked requests who leave from those who were only disturbed.
//
// The kernel says that an asker was interrupted when anything at all wakes it: a signal that is
// about to end it, but also a timer with a handler, or io_uring's task work, which is no signal.
// What reads an ordinary file never sees EINTR, so programs do not expect it (qemu fails to open
// its disk). And the kernel says it once: of the SIGKILL that comes later we hear nothing.
//
// So an interrupted request is watched: what is pending for its asker is looked up in /proc, at
// once and then ten times a second, and the request is answered with EINTR when the asker is about
// to be ended, or was asked to end (SIGINT, SIGTERM, SIGHUP, SIGQUIT) and has a handler for that.
// An asker that /proc does not show is not known to leave: upstream's patience bounds its wait.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

namespace imgcachefs {

class Parked;

// By the text of /proc/<thread>/status.
bool is_leaving(std::string_view proc_status);

// Thread-safe. The thread sleeps as long as nobody was interrupted.
class Departures {
 public:
  Departures();
  ~Departures() { stop(); }
  Departures(const Departures&) = delete;
  Departures& operator=(const Departures&) = delete;

  void watch(std::weak_ptr<Parked> interrupted);
  void stop();  // to be called before the session goes: no reply is made from here after it

 private:
  void run();

  std::mutex mutex_;  // protects all below but the thread
  std::condition_variable wake_;
  std::vector<std::weak_ptr<Parked>> watched_;
  bool added_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace imgcachefs
