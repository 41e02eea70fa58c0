// The one table of all mount options: name, default, what it means, and how its text is parsed.
//
// The same table serves -o, the long options, the environment and config files, and prints the
// help, so an option cannot exist in one of them only. Names are kept with `_`; `-` is the same.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "fs/mount_options.h"

namespace imgcachefs {

struct Option {
  enum class Takes { kValue, kFlag };

  std::string_view name;      // "cache_dir"
  Takes takes;                // a flag may stand without a value, which then is "true"
  std::string_view value;     // how the help names its value: "DIR"
  std::string_view standard;  // the default as the help prints it
  std::string_view help;
  // kInvalid says what would have been right; the caller adds the option and where it stood.
  Status (*set)(MountOptions& options, const std::string& value);
};

// In the order of DESIGN 2.1. `config` is not among them: it is where options come from.
std::span<const Option> option_table();

// nullptr when there is none. `name` as written, with `_` or `-`.
const Option* find_option(std::string_view name);

// Options of mount(8) and fstab(5) that are not ours and mean nothing here: accepted in -o.
bool is_foreign_option(std::string_view name);

std::string option_help();  // one line an option

}  // namespace imgcachefs
