// What the user asked imgcachectl for.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "cache/cache_layout.h"
#include "ctl/exit_code.h"

namespace imgcachefs {

enum class Verb {
  kList,
  kInfo,
  kMap,
  kStatus,
  kTop,
  kQueue,
  kUnqueue,
  kPrefetch,
  kEvict,
  kPin,
  kUnpin,
  kPrune,
  kClean,
  kVerify
};

struct CommandLine {
  std::string mountpoint;  // -m; "" when not given
  std::string cache_dir;   // -c, or its default when there is no -m either
  bool json = false;
  Verb verb = Verb::kList;
  Place place = Place::kCached;  // list: which images
  bool only_ids = false;         // list
  std::vector<ImageId> ids;  // info, map: one; others: some, unless `all`; verify: none is `all`
  std::map<ImageId, std::string> repositories;  // of those that were given as REPOSITORY/ID
  bool all = false;
  std::optional<uint64_t> max_size;                // prune: bytes
  std::optional<std::chrono::seconds> stall_time;  // clean
  bool dry_run = false;
  std::chrono::seconds interval{1};  // top
  std::optional<uint64_t> count;     // top: snapshots; nullopt: until it is ended

  std::string repository_of(const ImageId& id) const {  // "": none was given
    auto at = repositories.find(id);
    return at == repositories.end() ? "" : at->second;
  }
};

// The command, or the exit code when there is nothing to run (help, version, wrong usage); what is
// to be said about it has been printed then.
std::variant<CommandLine, ExitCode> parse_command_line(int argc, const char* const* argv);

}  // namespace imgcachefs
