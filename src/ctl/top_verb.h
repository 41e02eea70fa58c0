// The verb that shows what a mount is doing, as it does it: top.
#pragma once

#include "ctl/command_line.h"
#include "ctl/exit_code.h"

namespace imgcachefs {

// Asks the mount alone: who may read it need not be let into the cache directory.
Result<ExitCode> run_top(const CommandLine& command);

}  // namespace imgcachefs
