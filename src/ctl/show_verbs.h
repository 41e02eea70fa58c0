// The verbs that only look: list, info, status.
#pragma once

#include "ctl/cache_view.h"
#include "ctl/command_line.h"
#include "ctl/exit_code.h"

namespace imgcachefs {

Result<ExitCode> run_list(const CommandLine& command, const CacheView& cache);
Result<ExitCode> run_info(const CommandLine& command, const CacheView& cache);
Result<ExitCode> run_status(const CommandLine& command, const CacheView& cache);

}  // namespace imgcachefs
