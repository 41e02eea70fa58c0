// One connection to a Redis (or to whatever answers at its address): commands and their replies,
// with a deadline over each call and a bound on what is taken in.
//
// redis_connection.cc is the only file that sees hiredis, and of that the protocol alone: its
// connections have a time-out per system call, so that a server which sends a byte now and then
// holds them for ever, look up names without any, and write with SIGPIPE.
// Protocol: RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec/
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/posix.h"
#include "base/result.h"
#include "fetch/host_lookup.h"

struct redisReader;

namespace imgcachefs {

struct RedisReply {
  enum class Kind { kNil, kInteger, kText, kError, kArray };
  Kind kind = Kind::kNil;
  int64_t integer = 0;
  std::string text = {};  // of a text or an error: any bytes
  std::vector<RedisReply> elements = {};
};

using RedisCommand = std::vector<std::string>;  // its name and arguments: any bytes
using RedisReplies = std::vector<RedisReply>;

// Not thread-safe. Of no use any more after a call that failed.
class RedisConnection {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  // The first of the addresses that takes it. kUnavailable, kTimeout.
  static Result<RedisConnection> open(const std::vector<SocketAddress>& addresses,
                                      Deadline deadline);

  // All commands at once, then a reply for each; one that is an error is a reply too. kTimeout;
  // kUnavailable: the other end hung up; kProtocol: that was not Redis, or far more than asked for.
  Result<RedisReplies> run(const std::vector<RedisCommand>& commands, Deadline deadline);

  // False: the other end has hung up, or said something that nobody asked for.
  bool is_quiet() const;

 private:
  struct FreeReader {
    void operator()(redisReader* reader) const;
  };
  explicit RedisConnection(UniqueFd fd);
  Status send(std::string_view bytes, Deadline deadline);
  Status receive(size_t& taken, Deadline deadline);  // adds to what was taken in this call

  UniqueFd fd_;
  std::unique_ptr<redisReader, FreeReader> reader_;
};

}  // namespace imgcachefs
