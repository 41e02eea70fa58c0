// Where a Redis is, and as whom and on which of its databases we talk to it:
//
//     redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]
//     unix://[USER[:PASSWORD]@]/PATH[?db=DB]
//
// As the client libraries of Redis read them (redis-py's from_url); USER and PASSWORD are
// percent-encoded. The user without a name (":secret@") is the default one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imgcachefs {

struct RedisUrl {
  std::string host;  // without the brackets of an IPv6 address; "": it is a socket
  uint16_t port = 6379;
  std::string socket;     // its path
  std::string user;       // "": the default one
  std::string password;   // never logged
  bool log_in = false;    // user or password were given
  uint32_t database = 0;  // a number

  // kInvalid says what is wrong, and repeats nothing of the URL: it may be a password.
  static Result<RedisUrl> parse(std::string_view text);
  std::string str() const;  // without user and password: may be logged
};

}  // namespace imgcachefs
