#include "fs/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "base/posix.h"
#include "base/text.h"
#include "fs/option_values.h"

namespace imgcachefs {
namespace {

bool is_ours(const std::string& section, const std::vector<std::string>& mountpoints) {
  auto plain = parse_path(section);
  return std::any_of(mountpoints.begin(), mountpoints.end(), [&](const std::string& mountpoint) {
    return mountpoint == section || (plain && mountpoint == *plain);
  });
}

}  // namespace

Result<Settings> parse_config(const std::string& text, const std::string& path,
                              const std::vector<std::string>& mountpoints) {
  Settings everywhere, here;
  Settings* into = &everywhere;
  std::istringstream lines(text);
  std::string raw;
  for (int number = 1; std::getline(lines, raw); ++number) {
    const std::string line(trimmed(raw));
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    const std::string origin = fmt::format("{}:{}", path, number);
    if (line[0] == '[') {
      if (line.back() != ']')
        return fail(ErrorKind::kInvalid, fmt::format("{}: a section is [MOUNTPOINT]", origin));
      into = is_ours(std::string(trimmed(std::string_view(line).substr(1, line.size() - 2))),
                     mountpoints)
                 ? &here
                 : nullptr;
      continue;
    }
    const size_t equals = line.find('=');
    const std::string name(trimmed(std::string_view(line).substr(0, equals)));
    std::optional<std::string> value;
    if (equals != std::string::npos) value = trimmed(std::string_view(line).substr(equals + 1));
    if (name.empty())
      return fail(ErrorKind::kInvalid, fmt::format("{}: a line is OPTION = VALUE", origin));
    if (!into) continue;
    if (name == "config")
      return fail(ErrorKind::kInvalid,
                  fmt::format("{}: option 'config' has no place in a config file", origin));
    if (auto added = add_setting(*into, name, std::move(value), origin); !added)
      return fail(added.error());
  }
  // Later wins: the section goes over what holds for all.
  everywhere.list.insert(everywhere.list.end(), here.list.begin(), here.list.end());
  return everywhere;
}

Result<Settings> read_config_file(const std::string& path,
                                  const std::vector<std::string>& mountpoints) {
  auto text = posix::read_file_at(AT_FDCWD, path, 1 << 20);
  if (!text) return fail(ErrorKind::kInvalid, "config: " + text.error().message);
  return parse_config(*text, path, mountpoints);
}

}  // namespace imgcachefs
