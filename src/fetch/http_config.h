// How patient and how trusting we are with an HTTP server, and what we show it to be let in.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "fetch/credentials.h"

namespace imgcachefs {

// HTTP's own authentication (RFC 7617 Basic, RFC 6750 Bearer). At most one of the two.
struct HttpLogin {
  std::string username, password;  // Basic, when there is a username
  std::string bearer;              // Bearer, when it is not empty
};

// The mount options of the same names.
struct HttpConfig {
  std::chrono::seconds connect_timeout{10};
  uint64_t low_speed_limit = 1024;          // bytes per second ...
  std::chrono::seconds low_speed_time{30};  // ... for so long: a failed attempt
  unsigned retries =
      5;  // failed attempts in a row after which we give up: one more is made than this
  std::string ca_file, cert, key, proxy;  // empty: libcurl's defaults
  bool insecure = false;
  // Like the client certificate, for the origin of the URL that is asked for, and no other.
  HttpLogin login;

  // Takes the login from the keys username, password and token of a credentials file. kInvalid when
  // it has both kinds.
  Status add_login(const Credentials& credentials);
  // Takes its cert and key where the options of these names are not given.
  void add_certificate(const Credentials& credentials);

  // kInvalid, naming the option, when a file it names cannot be read.
  Status check_files() const;
};

}  // namespace imgcachefs
