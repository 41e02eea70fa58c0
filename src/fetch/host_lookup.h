// The addresses of a host, asked of the system's resolver, by callers who cannot wait for it.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"

namespace imgcachefs {

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t length = 0;
};

// Thread-safe. The resolver can take half a minute over a dead name server and cannot be stopped,
// so it is asked by a thread of its own, one at a time, whose answer the next caller gets who comes
// for it. The destructor waits for that thread.
class HostLookup {
 public:
  using Addresses = Result<std::vector<SocketAddress>>;
  using Resolve = std::function<Addresses(const std::string& host, uint16_t port)>;
  using Deadline = std::chrono::steady_clock::time_point;

  HostLookup(std::string host, uint16_t port);
  HostLookup(std::string host, uint16_t port, Resolve resolve);  // for tests

  // In the order in which they should be tried. kUnavailable: there are none. kTimeout: no answer
  // by then.
  Addresses addresses(Deadline deadline);

 private:
  const std::string host_;
  const uint16_t port_;
  const Resolve resolve_;
  std::mutex mutex_;  // protects what follows
  std::shared_future<Addresses> asked_;
};

}  // namespace imgcachefs
