// The verbs about the queue (cache/image_queue.h): queue, unqueue; and pin, unpin, which mark what
// is cached.
#pragma once

#include "ctl/cache_view.h"
#include "ctl/command_line.h"
#include "ctl/exit_code.h"

namespace imgcachefs {

Result<ExitCode> run_queue(const CommandLine& command, const CacheView& cache);
Result<ExitCode> run_unqueue(const CommandLine& command, const CacheView& cache);
Result<ExitCode> run_pin(const CommandLine& command, const CacheView& cache);  // and unpin

}  // namespace imgcachefs
