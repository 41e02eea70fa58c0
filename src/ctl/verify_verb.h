// The verb that re-hashes what is on disk: verify. (How: cache/verification.h.)
#pragma once

#include "ctl/cache_view.h"
#include "ctl/command_line.h"
#include "ctl/exit_code.h"

namespace imgcachefs {

Result<ExitCode> run_verify(const CommandLine& command, const CacheView& cache);

}  // namespace imgcachefs
