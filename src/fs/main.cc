#include <unistd.h>

#include <cstdio>

#include "fs/command_line.h"
#include "fs/daemon.h"

using namespace imgcachefs;

namespace {

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    if (const size_t equals = text.find('='); equals != std::string::npos)
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

}  // namespace

int main(int argc, char** argv) {
  auto line = parse_command_line({argv + 1, argv + argc}, environment());
  if (!line) {
    std::fprintf(stderr, "imgcachefs: %s\n", line.error().message.c_str());
    return kExitUsage;
  }
  switch (line->action) {
    case CommandLine::Action::kHelp:
      std::fputs(help_text().c_str(), stdout);
      return kExitOk;
    case CommandLine::Action::kVersion:
      std::fputs(version_text().c_str(), stdout);
      return kExitOk;
    case CommandLine::Action::kCheckConfig:
      if (auto checked = check_options(line->options); !checked) {
        std::fprintf(stderr, "imgcachefs: %s\n", checked.error().message.c_str());
        return kExitUsage;
      }
      for (const std::string& warning : line->options.warnings)
        std::fprintf(stderr, "imgcachefs: %s\n", warning.c_str());
      std::fputs(line->effective.c_str(), stdout);
      return kExitOk;
    case CommandLine::Action::kMount:
      return mount_and_serve(line->options);
  }
  return kExitUsage;
}
