// What an error of a service that lets us in elsewhere (Keystone, a token server) is to who asked
// for something else.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace imgcachefs {

// kDenied, kTimeout, kUnavailable and kCancelled stay; all else is kProtocol. "Not found" too, for
// it says that there is no such service (`none`: in words), and not: there is no such image.
inline Error login_error(Error error, std::string_view none) {
  switch (error.kind) {
    case ErrorKind::kDenied:
    case ErrorKind::kTimeout:
    case ErrorKind::kUnavailable:
    case ErrorKind::kCancelled:
      break;
    case ErrorKind::kNotFound:
      error.message.append(": ").append(none);
      [[fallthrough]];
    default:
      error.kind = ErrorKind::kProtocol;
  }
  return error;
}

}  // namespace imgcachefs
