#include "base/result.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace imgcachefs {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalid:
      return "invalid";
    case ErrorKind::kNotFound:
      return "not found";
    case ErrorKind::kDenied:
      return "denied";
    case ErrorKind::kStale:
      return "stale";
    case ErrorKind::kTimeout:
      return "timeout";
    case ErrorKind::kUnavailable:
      return "unavailable";
    case ErrorKind::kProtocol:
      return "protocol";
    case ErrorKind::kNoRanges:
      return "no ranges";
    case ErrorKind::kCorrupt:
      return "corrupt";
    case ErrorKind::kNoSpace:
      return "no space";
    case ErrorKind::kBusy:
      return "busy";
    case ErrorKind::kCancelled:
      return "cancelled";
    case ErrorKind::kIo:
      return "i/o";
  }
  return "unknown";
}

Error Error::in(std::string_view context) const {
  return Error{kind, fmt::format("{}: {}", context, message), sys_errno};
}

Error system_error(std::string_view what, int sys_errno) {
  ErrorKind kind = ErrorKind::kIo;
  if (sys_errno == ENOSPC || sys_errno == EDQUOT) kind = ErrorKind::kNoSpace;
  if (sys_errno == ENOENT) kind = ErrorKind::kNotFound;
  return Error{kind, fmt::format("{}: {}", what, std::generic_category().message(sys_errno)),
               sys_errno};
}

}  // namespace imgcachefs
