#include "ctl/exit_code.h"

namespace imgcachefs {

ExitCode exit_code_of(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kInvalid:
      return ExitCode::kUsage;
    case ErrorKind::kNotFound:
      return ExitCode::kNotCached;
    case ErrorKind::kCorrupt:
      return ExitCode::kVerificationFailed;
    case ErrorKind::kTimeout:
    case ErrorKind::kUnavailable:
    case ErrorKind::kDenied:
    case ErrorKind::kProtocol:
      return ExitCode::kUpstreamUnreachable;
    case ErrorKind::kNoSpace:
      return ExitCode::kNoSpace;
    case ErrorKind::kBusy:
      return ExitCode::kInUse;
    case ErrorKind::kStale:
    case ErrorKind::kNoRanges:
    case ErrorKind::kCancelled:
    case ErrorKind::kIo:
      return ExitCode::kFailed;
  }
  return ExitCode::kFailed;
}

}  // namespace imgcachefs
