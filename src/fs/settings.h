// Options as they were given, before they are put together: which, to what, and by whom.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fs/option_table.h"

namespace imgcachefs {

struct Setting {
  const Option* option;
  std::string value;
  std::string origin;  // for error messages: "-o", "command line", "environment", "FILE:LINE"
};

// All that one source of options said, in its order: what stands later wins.
struct Settings {
  std::vector<Setting> list;
  std::optional<std::string> config;              // config=FILE, which is no option of the mount
  std::optional<std::string> source, mountpoint;  // of a config file: what is mounted, and where
  std::vector<std::string> warnings;
};

// kInvalid, naming option and origin: it does not exist, or lacks its value. `value` nullopt: the
// name stood alone, which is right for a flag.
Status add_setting(Settings& settings, std::string_view name, std::optional<std::string> value,
                   const std::string& origin);

// The items of one -o, `\,` being a comma that does not separate.
std::vector<std::string> split_options(std::string_view text);
Status add_dash_o(Settings& settings, std::string_view text);

// IMGCACHEFS_<OPTION>, all letters upper case. A variable of that prefix that is no option is
// warned of and not refused: environments are shared with other programs, scripts and tests.
Result<Settings> settings_from_environment(const std::map<std::string, std::string>& environment);

// Of each option the setting that wins; lower precedence first. They point into the layers.
std::map<const Option*, const Setting*> winning_settings(
    const std::vector<const Settings*>& layers);

// Lower precedence first. Every value is checked, those that lose too.
Status apply(const std::vector<const Settings*>& layers, MountOptions& options);

}  // namespace imgcachefs
