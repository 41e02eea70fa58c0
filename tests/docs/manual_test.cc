// The manual pages and the programs say the same: every option with its value and its default, and
// every verb.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "support/process.h"

namespace imgcachefs::test {
namespace {

const std::filesystem::path kPages =
    std::filesystem::path(IMGCACHEFS_SOURCE_DIR) / "mount-helpers/man";

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string page(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(kPages / name).rdbuf();
  EXPECT_FALSE(text.str().empty()) << name;
  return text.str();
}

std::string help_of(std::vector<std::string> command) {
  command.front() = built(command.front());
  command.push_back("--help");
  const CommandResult result = run(command);
  EXPECT_EQ(result.exit_code, 0) << result.describe();
  return result.out;
}

// All that a line matches, a set of one text for each line that does.
std::set<std::string> matching(const std::string& text, const std::regex& pattern,
                               const std::string& format) {
  std::set<std::string> found;
  for (const std::string& line : lines_of(text))
    if (std::smatch match; std::regex_match(line, match, pattern))
      found.insert(match.format(format));
  return found;
}

TEST(Manual, HasEveryMountOptionWithItsValueAndItsDefault) {
  const auto of_program =
      matching(help_of({"imgcachefs"}), std::regex(R"(  (\w+)(=\S+)? .* \[(.*)\])"), "$1$2 [$3]");
  const auto of_page =
      matching(page("imgcachefs.8"), std::regex(R"(\.It Cm (\w+)(?: Ns (=) Ns Ar (\S+))? Bq (.*))"),
               "$1$2$3 [$4]");
  ASSERT_GT(of_program.size(), 30u);
  EXPECT_EQ(of_page, of_program);
}

TEST(Manual, SaysOfTheSameOptionsThatTheyAreNotInThisVersion) {
  const auto of_program =
      matching(help_of({"imgcachefs"}), std::regex(R"(  (\w+)=?.*not in this version.*)"), "$1");
  std::set<std::string> of_page;
  std::string option;
  for (const std::string& line : lines_of(page("imgcachefs.8"))) {
    if (std::smatch match; std::regex_search(line, match, std::regex(R"(^\.It Cm (\w+))")))
      option = match[1];
    if (line.starts_with("Not in this version")) of_page.insert(option);
  }
  EXPECT_EQ(of_page, of_program);
}

// The verbs stand in the help before its options, a line each.
std::set<std::string> verbs_of_program() {
  std::string help = help_of({"imgcachectl"});
  help.resize(std::min(help.find("\nOptions"), help.size()));
  return matching(help, std::regex(R"(  (\w+) +\S.*)"), "$1");
}

TEST(Manual, HasEveryVerb) {
  const auto verbs = verbs_of_program();
  ASSERT_GT(verbs.size(), 10u);
  const std::string text = page("imgcachectl.1");
  const std::string only_verbs =
      text.substr(text.find(".Sh VERBS"), text.find(".Sh EXIT") - text.find(".Sh VERBS"));
  EXPECT_EQ(matching(only_verbs, std::regex(R"(\.It Cm (\w+).*)"), "$1"), verbs);
}

TEST(Manual, HasEveryOptionOfEveryVerbAndNoOther) {
  auto long_options = [](const std::string& text, const char* pattern) {
    std::set<std::string> found;
    const std::regex option(pattern);
    for (std::sregex_iterator at(text.begin(), text.end(), option), end; at != end; ++at)
      found.insert((*at)[1]);
    return found;
  };
  std::string help = help_of({"imgcachectl"});
  for (const std::string& verb : verbs_of_program()) help += help_of({"imgcachectl", verb});
  const auto of_program = long_options(help, "--([a-z][a-z-]+)");
  ASSERT_GT(of_program.size(), 8u);
  EXPECT_EQ(long_options(page("imgcachectl.1"), R"((?:Fl -|, -)([a-z][a-z-]+))"), of_program);
}

}  // namespace
}  // namespace imgcachefs::test
