// docs/GLANCE.md names the test of ours beside each behaviour of Glance's: all of them exist, and
// no counterpart is forgotten there.
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <string>

#include "docs/source_files.h"

namespace imgcachefs {
namespace {

std::set<std::string> matches(const std::string& text, const std::regex& pattern) {
  std::set<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at)
    found.insert((*at)[1].str() + "." + (*at)[2].str());
  return found;
}

// "Suite.Test", of all tests there are.
std::set<std::string> tests() {
  static const std::regex definition(R"(\bTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\))");
  std::set<std::string> found;
  for (const auto& entry : files::recursive_directory_iterator(kSource / "tests"))
    if (entry.path().extension() == ".cc") found.merge(matches(read(entry.path()), definition));
  return found;
}

std::set<std::string> named() {
  // In backticks, and beginning as our suites do, which no file name and no method of Glance's
  // does.
  static const std::regex name(R"(`([A-Z]\w*)\.([A-Z]\w*)`)");
  return matches(read(kSource / "docs/GLANCE.md"), name);
}

TEST(GlanceDocTest, EveryTestThatIsNamedExists) {
  const std::set<std::string> there = tests();
  ASSERT_GT(named().size(), 40u);
  for (const std::string& name : named()) EXPECT_TRUE(there.contains(name)) << name;
}

TEST(GlanceDocTest, EveryCounterpartIsNamed) {
  const std::set<std::string> known = named();
  for (const std::string& test : tests())
    for (const char* suite :
         {"ImageCacheCounterparts.", "Interop.", "Adoption.", "SharedDirectory."})
      if (test.starts_with(suite)) {
        EXPECT_TRUE(known.contains(test)) << test;
      }
}

}  // namespace
}  // namespace imgcachefs
