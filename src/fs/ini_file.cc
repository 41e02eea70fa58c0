#include "fs/ini_file.h"

#include <fmt/format.h>

#include <sstream>

#include "base/text.h"

namespace imgcachefs {

Result<std::vector<IniEntry>> parse_ini(const std::string& text, const std::string& path,
                                        IniDialect dialect) {
  const bool oslo = dialect == IniDialect::kOslo;
  std::vector<IniEntry> entries;
  std::optional<std::string> section;
  bool may_go_on = false;  // the line before was an entry, or went on with one
  std::istringstream lines(text);
  std::string raw;
  for (int number = 1; std::getline(lines, raw); ++number) {
    const std::string line(trimmed(raw));
    const std::string origin = fmt::format("{}:{}", path, number);
    const bool indented = !raw.empty() && (raw[0] == ' ' || raw[0] == '\t');
    if (oslo && indented && !line.empty()) {
      if (!may_go_on || !entries.back().value)
        return fail(
            ErrorKind::kInvalid,
            fmt::format("{}: it begins with a blank and there is nothing to go on with", origin));
      *entries.back().value += "\n" + line;
      continue;
    }
    if (line.empty() || line[0] == '#' || line[0] == ';') {
      if (line.empty()) may_go_on = false;
      continue;
    }
    may_go_on = false;
    if (line[0] == '[') {
      if (line.back() != ']')
        return fail(ErrorKind::kInvalid, fmt::format("{}: a section is [NAME]", origin));
      section = trimmed(std::string_view(line).substr(1, line.size() - 2));
      continue;
    }
    const size_t equals = line.find_first_of(oslo ? "=:" : "=");
    IniEntry entry{section, std::string(trimmed(std::string_view(line).substr(0, equals))),
                   std::nullopt, origin};
    if (equals != std::string::npos)
      entry.value = trimmed(std::string_view(line).substr(equals + 1));
    if (entry.name.empty() || (oslo && !entry.value))
      return fail(ErrorKind::kInvalid, fmt::format("{}: a line is OPTION = VALUE", origin));
    entries.push_back(std::move(entry));
    may_go_on = true;
  }
  return entries;
}

}  // namespace imgcachefs
