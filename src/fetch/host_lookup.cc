#include "fetch/host_lookup.h"

#include <fmt/format.h>
#include <netdb.h>

#include <cstring>
#include <memory>
#include <system_error>

namespace imgcachefs {
namespace {

HostLookup::Addresses ask_resolver(const std::string& host, uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | flags;
  addrinfo* raw = nullptr;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &raw);
  if (code != 0)
    return fail(ErrorKind::kUnavailable, fmt::format("{}: {}", host, ::gai_strerror(code)));
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> list(raw, &::freeaddrinfo);
  std::vector<SocketAddress> found;
  for (const addrinfo* at = raw; at != nullptr; at = at->ai_next) {
    SocketAddress address;
    address.length = at->ai_addrlen;
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    found.push_back(address);
  }
  return found;
}

}  // namespace

HostLookup::HostLookup(std::string host, uint16_t port)
    : HostLookup(std::move(host), port, [](const std::string& name, uint16_t number) {
        return ask_resolver(name, number, 0);
      }) {}

HostLookup::HostLookup(std::string host, uint16_t port, Resolve resolve)
    : host_(std::move(host)), port_(port), resolve_(std::move(resolve)) {}

HostLookup::Addresses HostLookup::addresses(Deadline deadline) {
  if (auto numeric = ask_resolver(host_, port_, AI_NUMERICHOST)) return numeric;
  std::shared_future<Addresses> asked;
  {
    std::lock_guard lock(mutex_);
    if (!asked_.valid()) {
      try {
        asked_ = std::async(std::launch::async, resolve_, host_, port_).share();
      } catch (const std::system_error& error) {
        return fail(ErrorKind::kUnavailable, fmt::format("{}: {}", host_, error.what()));
      }
    }
    asked = asked_;
  }
  if (asked.wait_until(deadline) != std::future_status::ready)
    return fail(ErrorKind::kTimeout, fmt::format("{}: no answer from the resolver", host_));
  Addresses answer = asked.get();
  std::lock_guard lock(mutex_);
  // Whoever comes next asks anew, unless somebody does so already.
  if (asked_.valid() && asked_.wait_for(std::chrono::seconds(0)) == std::future_status::ready)
    asked_ = {};
  return answer;
}

}  // namespace imgcachefs
