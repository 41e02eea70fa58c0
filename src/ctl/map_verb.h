// The verb that shows which parts of an image are present: map.
#pragma once

#include "ctl/cache_view.h"
#include "ctl/command_line.h"
#include "ctl/exit_code.h"

namespace imgcachefs {

Result<ExitCode> run_map(const CommandLine& command, const CacheView& cache);

}  // namespace imgcachefs
