// The exit codes of imgcachectl (DESIGN 2.6): scripts rely on them, so they never change.
#pragma once

#include "base/result.h"

namespace imgcachefs {

enum class ExitCode {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kNotCached = 3,  // or no such image
  kVerificationFailed = 4,
  kUpstreamUnreachable = 5,
  kNoSpace = 6,
  kInUse = 7,  // or pinned
};

// Of an error about an image. (An error about the cache itself is kFailed.)
ExitCode exit_code_of(const Error& error);

}  // namespace imgcachefs
