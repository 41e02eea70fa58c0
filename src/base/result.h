// Result<T>: a value, or an Error that says what went wrong in words and of which kind it is.
//
// No exception crosses a folder of src/; every function that can fail returns a Result. The kind is
// what callers decide by (is it worth a retry: fetch/retry; which errno does a user see: fs/reply);
// the message is for people and names the image, the file or the URL it is about.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace imgcachefs {

enum class ErrorKind {
  kInvalid,      // what the user or a file said makes no sense (bad option, bad ID)
  kNotFound,     // there is no such image, file or row
  kDenied,       // upstream refuses (401, 403)
  kStale,        // the image is not the version asked for any more
  kTimeout,      // upstream was silent, or too slow, past the patience
  kUnavailable,  // upstream cannot be reached or is unwell (refused, DNS, TLS, 429, 5xx)
  kProtocol,     // upstream answered against the rules; its bytes were not used
  kNoRanges,     // upstream answered a range with the whole image: read it in one pass
  kCorrupt,      // the bytes do not have the checksum they should have
  kNoSpace,      // no room for it in the cache
  kBusy,         // in use by somebody, or pinned
  kCancelled,    // we were told to stop
  kIo,           // the local disk or kernel failed; `sys_errno` says how
};

std::string_view to_string(ErrorKind kind);

struct [[nodiscard]] Error {
  ErrorKind kind;
  std::string message;
  int sys_errno = 0;  // for kIo, kNoSpace: what the system call said; else 0

  // The same error with "context: " before its message.
  Error in(std::string_view context) const;
};

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

inline tl::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return tl::unexpected<Error>(Error{kind, std::move(message)});
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

// The Error of a failed system call on `what`: ENOSPC and EDQUOT are kNoSpace, ENOENT is kNotFound,
// everything else kIo. The one place where an errno becomes an Error.
Error system_error(std::string_view what, int sys_errno);
inline tl::unexpected<Error> fail_errno(std::string_view what, int sys_errno) {
  return tl::unexpected<Error>(system_error(what, sys_errno));
}

}  // namespace imgcachefs
