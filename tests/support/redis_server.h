// The real redis-server on loopback, for the life of the object, with nothing on disk: what it knew
// is gone when it is stopped.
//
//     RedisServer redis;
//     redis.command({"SET", "key", "value"});
//     ... redis.url() ...
//     redis.pause();   // it is there, takes connections and answers nobody
//
// Throws std::runtime_error, with its log, when it does not come up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/child_server.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

struct RedisServerOptions {
  std::string password = {};             // of the default user; "": none
  std::vector<std::string> config = {};  // further arguments: "--maxclients", "10"
};

class RedisServer {
 public:
  explicit RedisServer(RedisServerOptions options = {});
  ~RedisServer() { stop(); }

  uint16_t port() const { return port_; }
  std::string url(unsigned database = 0) const;                   // redis://, without a password
  std::string socket() const { return dir_.file("redis.sock"); }  // it listens there too
  std::string address() const;                                    // HOST:PORT

  // What redis-cli(1) prints for a command: an element a line. Throws when Redis refuses.
  std::string command(const std::vector<std::string>& words, unsigned database = 0) const;
  std::vector<std::string> lines(const std::vector<std::string>& words) const;  // sorted

  void stop();
  void start();   // again, at the same port, knowing nothing
  void pause();   // SIGSTOP
  void resume();  // SIGCONT

 private:
  RedisServerOptions options_;
  TempDir dir_;
  uint16_t port_ = 0;
  ChildServer server_;
};

}  // namespace imgcachefs::test
