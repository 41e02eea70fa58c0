// The verb that tells all that is known of an image: info.
#pragma once

#include "ctl/cache_view.h"
#include "ctl/command_line.h"
#include "ctl/exit_code.h"

namespace imgcachefs {

Result<ExitCode> run_info(const CommandLine& command, const CacheView& cache);

}  // namespace imgcachefs
