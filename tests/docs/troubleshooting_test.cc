// docs/TROUBLESHOOTING.md explains messages by their words: each one that it quotes is still
// in a text of src/.
#include <gtest/gtest.h>

#include <cctype>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "docs/source_files.h"

namespace imgcachefs {
namespace {

// The texts in a source file, one a line. One that the formatter has broken in two is one again.
std::string texts_of(const std::string& source) {
  std::string texts;
  bool in_text = false;
  size_t ended = 0;  // of `source`, behind the last text
  for (size_t at = 0; at < source.size(); ++at) {
    const char c = source[at];
    if (c == '"' && in_text) {
      ended = at + 1;
      in_text = false;
    } else if (c == '"') {
      const bool goes_on = source.find_first_not_of(" \n", ended) == at;
      if (!goes_on) texts += '\n';
      in_text = true;
    } else if (in_text) {
      texts += c == '\\' ? source[++at] : c;
    } else if (c == '\'' &&
               (at == 0 || !std::isxdigit(static_cast<unsigned char>(source[at - 1])))) {
      at += source[at + 1] == '\\' ? 3 : 2;  // a character, that may be a quotation mark
    } else if (source.compare(at, 2, "//") == 0) {
      at = source.find('\n', at);
    }
  }
  return texts;
}

std::string said() {
  std::string all;
  for (const auto& entry : files::recursive_directory_iterator(kSource / "src"))
    if (entry.path().extension() == ".cc" || entry.path().extension() == ".h")
      all += texts_of(read(entry.path())) + "\n";
  return all;
}

// What stands in backticks in the first column of a table whose first column is `message`, and the
// words between what differs from case to case ("…").
std::vector<std::string> quoted() {
  static const std::regex in_backticks("`([^`]+)`");
  const std::string varies = "…";
  std::vector<std::string> found;
  std::istringstream lines(read(kSource / "docs/TROUBLESHOOTING.md"));
  bool in_table = false;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("|")) in_table = false;
    if (line.starts_with("| message |") || line.starts_with("| in the log |")) in_table = true;
    if (!in_table) continue;
    if (line.find(" | ") == std::string::npos) continue;
    const std::string column = line.substr(2, line.find(" | ") - 2);
    for (std::sregex_iterator at(column.begin(), column.end(), in_backticks), end; at != end;
         ++at) {
      std::string rest = (*at)[1].str() + varies;
      for (size_t gap; (gap = rest.find(varies)) != std::string::npos;
           rest = rest.substr(gap + varies.size()))
        if (gap > 2) found.push_back(rest.substr(0, gap));
    }
  }
  return found;
}

TEST(TroubleshootingTest, EveryMessageItQuotesIsOneOfOurs) {
  const std::string messages = said();
  ASSERT_GT(quoted().size(), 80u);
  for (const std::string& words : quoted())
    EXPECT_NE(messages.find(words), std::string::npos) << "nobody says: " << words;
}

}  // namespace
}  // namespace imgcachefs
