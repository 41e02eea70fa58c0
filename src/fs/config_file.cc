#include "fs/config_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/posix.h"
#include "fs/ini_file.h"
#include "fs/option_values.h"

namespace imgcachefs {
namespace {

bool is_ours(const std::string& section, const std::vector<std::string>& mountpoints) {
  auto plain = parse_path(section);
  return std::any_of(mountpoints.begin(), mountpoints.end(), [&](const std::string& mountpoint) {
    return mountpoint == section || (plain && mountpoint == *plain);
  });
}

// Where the value of a key goes that is no option: what is mounted, and where.
std::optional<std::string>* says_what(Settings& settings, std::string_view name) {
  if (name == "source") return &settings.source;
  return name == "mountpoint" ? &settings.mountpoint : nullptr;
}

}  // namespace

Result<Settings> parse_config(const std::string& text, const std::string& path,
                              std::vector<std::string> mountpoints) {
  auto entries = parse_ini(text, path, IniDialect::kPlain);
  if (!entries) return fail(entries.error());
  Settings everywhere, here;
  for (const IniEntry& entry : *entries) {
    auto* what = says_what(everywhere, entry.name);
    if (!what) continue;
    if (entry.section)
      return fail(ErrorKind::kInvalid,
                  fmt::format("{}: '{}' has no place in a section", entry.origin, entry.name));
    if (!entry.value || entry.value->empty())
      return fail(ErrorKind::kInvalid,
                  fmt::format("{}: '{}' needs a value", entry.origin, entry.name));
    *what = entry.value;
  }
  if (mountpoints.empty() && everywhere.mountpoint) mountpoints = {*everywhere.mountpoint};
  for (const IniEntry& entry : *entries) {
    if (says_what(everywhere, entry.name)) continue;
    Settings* into = !entry.section                         ? &everywhere
                     : is_ours(*entry.section, mountpoints) ? &here
                                                            : nullptr;
    if (!into) continue;
    if (entry.name == "config")
      return fail(ErrorKind::kInvalid,
                  fmt::format("{}: option 'config' has no place in a config file", entry.origin));
    if (auto added = add_setting(*into, entry.name, entry.value, entry.origin); !added)
      return fail(added.error());
  }
  // Later wins: the section goes over what holds for all.
  everywhere.list.insert(everywhere.list.end(), here.list.begin(), here.list.end());
  return everywhere;
}

Result<Settings> read_config_file(const std::string& path, std::vector<std::string> mountpoints) {
  auto text = posix::read_file_at(AT_FDCWD, path, 1 << 20);
  if (!text) return fail(ErrorKind::kInvalid, "config: " + text.error().message);
  return parse_config(*text, path, std::move(mountpoints));
}

}  // namespace imgcachefs
