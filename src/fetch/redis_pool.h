// Connections to one Redis, shared by many threads, and the decision when it is not worth asking.
//
// A call that gets no answer costs its caller the patience below once; from then on, for a while
// that grows, calls return at once without one, and after it one of them tries again. The same
// holds apart for what Redis refuses to do (a full one still reads, a replica does not write). An
// outage is one line in the log, and its end another.
#pragma once

#include <array>
#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fetch/circuit.h"
#include "fetch/host_lookup.h"
#include "fetch/redis_connection.h"
#include "fetch/redis_url.h"

namespace imgcachefs {

struct RedisPatience {
  std::chrono::milliseconds connect{200};  // for look-up, connection and login together
  std::chrono::milliseconds command{200};  // for all commands of a call together
  Circuit::Pauses pauses = {};
};

enum class RedisUse { kRead, kAdd, kRemove };  // of a call: Redis may refuse one and not the other

// Thread-safe; nothing is locked while Redis is waited for. The destructor may wait for the
// resolver (HostLookup).
class RedisPool {
 public:
  // Makes no connection.
  explicit RedisPool(RedisUrl url, RedisPatience patience = {});

  // A reply for each command, none of them an error; nullopt: there was no answer, or a refusal.
  // Commands may be sent twice: only such may be given to it for which that is the same.
  std::optional<RedisReplies> run(RedisUse use, const std::vector<RedisCommand>& commands);

 private:
  using Clock = Circuit::Clock;

  Result<RedisReplies> ask(const std::vector<RedisCommand>& commands);
  std::optional<RedisConnection> idle_connection();
  Result<RedisConnection> connect();
  void gone(const Error& error);
  void answered();
  void refused(RedisUse use, const std::string& words);

  const RedisUrl url_;
  const std::string name_;  // for the log
  const RedisPatience patience_;
  std::optional<HostLookup> lookup_;  // nullopt: it is a socket

  std::mutex mutex_;  // protects what follows
  std::vector<RedisConnection> idle_;
  Circuit server_;
  std::array<Circuit, 3> uses_;       // by RedisUse
  std::set<std::string> told_codes_;  // of kOfTheKey: those that are in the log
};

}  // namespace imgcachefs
