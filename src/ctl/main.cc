// imgcachectl: manages the cache directory, with or without a daemon on it (DESIGN 2.6).

#include <fmt/format.h>

#include <cstdio>

#include "base/log.h"
#include "ctl/cache_view.h"
#include "ctl/command_line.h"
#include "ctl/info_verb.h"
#include "ctl/list_verb.h"
#include "ctl/map_verb.h"
#include "ctl/prefetch_verb.h"
#include "ctl/queue_verbs.h"
#include "ctl/remove_verbs.h"
#include "ctl/shown_text.h"
#include "ctl/status_verb.h"
#include "ctl/top_verb.h"
#include "ctl/verify_verb.h"

namespace imgcachefs {
namespace {

Result<ExitCode> run(const CommandLine& command) {
  if (command.verb == Verb::kTop) return run_top(command);
  auto cache = CacheView::open(command);
  if (!cache) return fail(cache.error());
  switch (command.verb) {
    case Verb::kList:
      return run_list(command, *cache);
    case Verb::kInfo:
      return run_info(command, *cache);
    case Verb::kMap:
      return run_map(command, *cache);
    case Verb::kStatus:
      return run_status(command, *cache);
    case Verb::kQueue:
      return run_queue(command, *cache);
    case Verb::kUnqueue:
      return run_unqueue(command, *cache);
    case Verb::kPrefetch:
      return run_prefetch(command, *cache);
    case Verb::kPin:
    case Verb::kUnpin:
      return run_pin(command, *cache);
    case Verb::kVerify:
      return run_verify(command, *cache);
    case Verb::kEvict:
      return run_evict(command, *cache);
    case Verb::kPrune:
      return run_prune(command, *cache);
    case Verb::kClean:
      return run_clean(command, *cache);
    case Verb::kTop:
      break;  // above: it needs no directory
  }
  return ExitCode::kUsage;
}

ExitCode run_main(int argc, char** argv) {
  if (auto log = start_log({.level = "warning", .file = "", .background = false}); !log) {
    complain(log.error().message);
    return ExitCode::kFailed;
  }
  auto parsed = parse_command_line(argc, argv);
  if (const ExitCode* code = std::get_if<ExitCode>(&parsed)) return *code;
  auto done = run(std::get<CommandLine>(parsed));
  if (!done) {
    complain(done.error().message);
    return ExitCode::kFailed;
  }
  // Who reads our output must be able to trust that it is all there.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    complain("cannot write the output");
    return ExitCode::kFailed;
  }
  return *done;
}

}  // namespace
}  // namespace imgcachefs

int main(int argc, char** argv) {
  return static_cast<int>(imgcachefs::run_main(argc, argv));
}
