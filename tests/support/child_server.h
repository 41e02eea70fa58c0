// A server program as a child of the test, listening on a loopback port of its own.
//
// What it says goes to a log file. It is killed in the destructor, and by the kernel when the test
// dies. Used by Nginx, RedisServer and the servers of tests/real, which know their configuration.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace imgcachefs::test {

uint16_t free_port();         // one that was free a moment ago; somebody else may take it
bool answers(uint16_t port);  // something takes connections on it

// Calls `start` with a free port until it does not throw: somebody else can take one between the
// look and the start. Five times; then it throws.
void start_at_free_port(const std::function<void(uint16_t port)>& start);

struct ServerCommand {
  std::vector<std::string> argv;
  std::map<std::string, std::string> env = {};  // set beside what the test has
  std::string log;                              // standard output and errors are added to this file
  std::function<bool()> ready;                  // asked every few milliseconds
  std::chrono::milliseconds patience{60'000};   // for it to become ready
};

class ChildServer {
 public:
  ChildServer() = default;
  ~ChildServer() { stop(); }
  ChildServer(const ChildServer&) = delete;
  ChildServer& operator=(const ChildServer&) = delete;

  // Returns when it is ready; throws std::runtime_error with its log when it does not get so.
  void start(const ServerCommand& command);
  void stop();  // SIGTERM, and SIGKILL when that takes more than five seconds
  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }  // of a running one, for signals

 private:
  pid_t pid_ = -1;
};

}  // namespace imgcachefs::test
