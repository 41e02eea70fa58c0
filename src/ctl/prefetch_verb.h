// The verb that queues, waits and shows how far it is: prefetch.
#pragma once

#include "ctl/cache_view.h"
#include "ctl/command_line.h"
#include "ctl/exit_code.h"

namespace imgcachefs {

Result<ExitCode> run_prefetch(const CommandLine& command, const CacheView& cache);

}  // namespace imgcachefs
