// The verb that tells the state of a cache and of its mount: status.
#pragma once

#include "ctl/cache_view.h"
#include "ctl/command_line.h"
#include "ctl/exit_code.h"

namespace imgcachefs {

Result<ExitCode> run_status(const CommandLine& command, const CacheView& cache);

}  // namespace imgcachefs
