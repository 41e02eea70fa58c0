// The command line, with what the environment and the config file say beside it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "fs/mount_options.h"

namespace imgcachefs {

struct CommandLine {
  enum class Action { kMount, kCheckConfig, kHelp, kVersion };
  Action action = Action::kMount;
  MountOptions options;   // for kMount and kCheckConfig
  std::string effective;  // for kCheckConfig: see fs/effective_options.h
};

// `arguments` without the program's name. Precedence of options: command line over -o over
// environment over config file over default; in each of them what stands later wins. Every error
// is kInvalid, one line, and means that nothing is mounted.
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments,
                                       const std::map<std::string, std::string>& environment);

std::string help_text();
std::string version_text();

}  // namespace imgcachefs
