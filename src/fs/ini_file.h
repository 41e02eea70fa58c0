// INI files: what stands in one, line by line, without a meaning yet.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace imgcachefs {

struct IniEntry {
  std::optional<std::string> section;  // nullopt: before the first one
  std::string name;
  std::optional<std::string> value;  // nullopt: the name stood alone
  std::string origin;                // "FILE:LINE"
};

enum class IniDialect {
  kPlain,  // NAME = VALUE or NAME, blanks around them as one likes
  kOslo,   // of oslo.config: `:` does for `=`, and a line that begins with a blank goes on with the
           // value of the one before it (joined with a line feed)
};

// In their order. Comments are lines that start with # or ;. kInvalid names file and line.
Result<std::vector<IniEntry>> parse_ini(const std::string& text, const std::string& path,
                                        IniDialect dialect);

}  // namespace imgcachefs
