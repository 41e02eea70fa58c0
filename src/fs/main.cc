#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

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

// Where relative paths of the options begin, while this is there. The daemon itself is in "/", so
// that it keeps nobody from unmounting what it was started in.
class StartDirectory {
 public:
  explicit StartDirectory(const std::filesystem::path& path) {
    std::filesystem::current_path(path, error_);
  }
  ~StartDirectory() {
    std::error_code ignored;
    std::filesystem::current_path("/", ignored);
  }
  StartDirectory(const StartDirectory&) = delete;
  StartDirectory& operator=(const StartDirectory&) = delete;

  const std::error_code& error() const { return error_; }

 private:
  std::error_code error_;
};

// What a reload reads: the same words as at the start, the files as they are then.
RereadOptions rereading(std::vector<std::string> arguments) {
  std::error_code unknown;
  return [arguments = std::move(arguments), variables = environment(),
          directory = std::filesystem::current_path(unknown)]() -> Result<MountOptions> {
    StartDirectory here(directory);
    if (here.error())
      return fail(ErrorKind::kInvalid, fmt::format("the directory it was started in, {}: {}",
                                                   directory.string(), here.error().message()));
    auto line = parse_command_line(arguments, variables);
    if (!line) return fail(line.error());
    return std::move(line->options);
  };
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  auto line = parse_command_line(arguments, environment());
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
      return mount_and_serve(line->options, rereading(arguments));
  }
  return kExitUsage;
}
