// Where to listen: ADDR:PORT, as the option metrics_listen has it.
//
//     127.0.0.1:9109   [::1]:9109   localhost:9109   0.0.0.0:9109 (all of IPv4)   [::]:9109 (of
//     IPv6)
//
// An address has to be named: what listens everywhere was asked to. Port 0 is any that is free.
#pragma once

#include <cstdint>
#include <string>

#include "base/posix.h"
#include "base/result.h"

namespace imgcachefs {

struct ListenAddress {
  std::string host;  // a name or an address, without brackets
  uint16_t port = 0;

  // kInvalid, saying what would be right.
  static Result<ListenAddress> parse(const std::string& text);

  struct Listening {
    UniqueFd fd;          // takes connections, and does not wait
    std::string address;  // where, in numbers: "127.0.0.1:9109", "[::1]:9109"
  };
  // On the address that the host has now, the first if there are several. Asks the resolver when it
  // is a name. The error says why not, without the address.
  Result<Listening> listen() const;
  std::string str() const;  // as it is written
  bool operator==(const ListenAddress&) const = default;
};

}  // namespace imgcachefs
