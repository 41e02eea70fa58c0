// The verb that lists what lies in the cache: list.
#pragma once

#include "ctl/cache_view.h"
#include "ctl/command_line.h"
#include "ctl/exit_code.h"

namespace imgcachefs {

Result<ExitCode> run_list(const CommandLine& command, const CacheView& cache);

}  // namespace imgcachefs
