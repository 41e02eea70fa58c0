// The verbs that take images out: evict, prune, clean. (How: cache/eviction.h.)
#pragma once

#include "ctl/cache_view.h"
#include "ctl/command_line.h"
#include "ctl/exit_code.h"

namespace imgcachefs {

Result<ExitCode> run_evict(const CommandLine& command, const CacheView& cache);
Result<ExitCode> run_prune(const CommandLine& command, const CacheView& cache);
Result<ExitCode> run_clean(const CommandLine& command, const CacheView& cache);

}  // namespace imgcachefs
