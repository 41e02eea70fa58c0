// docs/SEMANTICS.md is a promise: each of its sentences is quoted, word for word, by the test that
// shows it. A sentence without a test, or a quotation of a sentence that is gone, fails here.
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "docs/source_files.h"

namespace imgcachefs {
namespace {

// White space, and the marks of a comment at a line's start, do not count.
std::string plain(const std::string& text) {
  static const std::regex comment_lines("\n\\s*//+ ?"), spaces("\\s+");
  return std::regex_replace(std::regex_replace(text, comment_lines, " "), spaces, " ");
}

std::vector<std::string> sentences() {
  std::vector<std::string> found;
  std::istringstream lines(read(kSource / "docs/SEMANTICS.md"));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("- ")) found.push_back(plain(line.substr(2)));
  return found;
}

std::string tests() {
  std::string all;
  for (const auto& entry : files::recursive_directory_iterator(kSource / "tests"))
    if (entry.path().extension() == ".cc") all += plain("\n" + read(entry.path())) + " ";
  return all;
}

TEST(SemanticsTest, EverySentenceIsQuotedByATest) {
  const std::string quoted = tests();
  ASSERT_GT(sentences().size(), 40u);
  for (const std::string& sentence : sentences())
    EXPECT_NE(quoted.find("SEMANTICS: " + sentence), std::string::npos) << sentence;
}

TEST(SemanticsTest, EveryQuotationIsASentence) {
  const auto all = sentences();
  const std::set<std::string> known(all.begin(), all.end());
  const std::string text = [&] {
    std::string lines;
    for (const auto& entry : files::recursive_directory_iterator(kSource / "tests"))
      if (entry.path().extension() == ".cc" && entry.path().filename() != "semantics_test.cc")
        lines += read(entry.path()) + "\n";
    return lines;
  }();
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    size_t at = line.find("// SEMANTICS: ");
    if (at == std::string::npos) continue;
    std::string sentence = line.substr(at + 14);
    while (!sentence.ends_with('.') && std::getline(lines, line)) {
      size_t begin = line.find("// ");
      if (begin == std::string::npos) break;
      sentence += " " + line.substr(begin + 3);
    }
    EXPECT_TRUE(known.contains(plain(sentence))) << "no such sentence: " << sentence;
  }
}

}  // namespace
}  // namespace imgcachefs
