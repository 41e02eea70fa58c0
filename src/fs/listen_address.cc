#include "fs/listen_address.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

namespace imgcachefs {
namespace {

constexpr int kBacklog = 64;

std::string joined(const std::string& host, const std::string& port) {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

}  // namespace

Result<ListenAddress> ListenAddress::parse(const std::string& text) {
  const auto wrong = [] {
    return fail(ErrorKind::kInvalid,
                "is ADDR:PORT: 127.0.0.1:9109, [::1]:9109 or localhost:9109, and 0.0.0.0:9109 for "
                "all addresses");
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return wrong();
  ListenAddress address{text.substr(0, colon), 0};
  std::string& host = address.host;
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  // A colon belongs to an IPv6 address, and that into brackets.
  if (host.empty() || bracketed != (host.find(':') != std::string::npos) ||
      host.find_first_of("[]/,@ \t") != std::string::npos)
    return wrong();
  const char* end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data() + colon + 1, end, address.port);
  if (error != std::errc() || last != end) return wrong();
  return address;
}

Result<ListenAddress::Listening> ListenAddress::listen() const {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (code != 0) return fail(ErrorKind::kInvalid, ::gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(found, &::freeaddrinfo);

  const auto failed = [] { return fail(ErrorKind::kIo, std::strerror(errno)); };
  Listening listening{
      UniqueFd(::socket(all->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)), {}};
  const int fd = listening.fd.get();
  if (fd < 0) return failed();
  const int on = 1;
  // What was closed a moment ago does not hold the port; what is open does.
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (all->ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd, all->ai_addr, all->ai_addrlen) < 0 || ::listen(fd, kBacklog) < 0) return failed();

  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  auto* const address = reinterpret_cast<sockaddr*>(&bound);
  std::array<char, NI_MAXHOST> number;
  std::array<char, NI_MAXSERV> its_port;
  if (::getsockname(fd, address, &size) < 0) return failed();
  if (::getnameinfo(address, size, number.data(), number.size(), its_port.data(), its_port.size(),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return fail(ErrorKind::kIo, "its address cannot be told");
  listening.address = joined(number.data(), its_port.data());
  return listening;
}

std::string ListenAddress::str() const {
  return joined(host, std::to_string(port));
}

}  // namespace imgcachefs
