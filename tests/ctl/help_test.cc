// What imgcachectl says of itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "support/process.h"

namespace imgcachefs::test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::StartsWith;

CommandResult ctl(std::vector<std::string> args) {
  args.insert(args.begin(), built("imgcachectl"));
  return run(args);
}

const std::vector<std::string> kVerbs = {"list",     "info",  "map",     "status", "top",
                                         "prefetch", "queue", "unqueue", "pin",    "unpin",
                                         "verify",   "evict", "prune",   "clean"};

TEST(ImgcachectlHelp, ShowsAllVerbsOnOneScreen) {
  CommandResult help = ctl({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(help.err, "");
  for (const std::string& verb : kVerbs)
    EXPECT_THAT(help.out, ContainsRegex("\n  " + verb + " +[a-z]")) << verb;
  for (const char* option : {"-m, --mount MOUNTPOINT", "-c, --cache-dir DIR", "--json"})
    EXPECT_THAT(help.out, HasSubstr(option));
  EXPECT_THAT(help.out, HasSubstr("First steps:"));
  EXPECT_THAT(help.out, HasSubstr("Exit codes: 0 done, 1 failed, 2 wrong usage"));
  std::istringstream lines(help.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_LE(count, 50);
}

TEST(ImgcachectlHelp, TeachesEachVerb) {
  for (const std::string& verb : kVerbs)
    for (const auto& args : {std::vector<std::string>{verb, "--help"}, {"-h", verb}}) {
      CommandResult help = ctl(args);
      EXPECT_EQ(help.exit_code, 0) << help.describe();
      if (args.front() == "-h") continue;  // of all of them, or of that one
      EXPECT_THAT(help.out,
                  StartsWith("usage: imgcachectl [-m MOUNTPOINT | -c CACHE_DIR] [--json] " + verb));
      EXPECT_THAT(help.out, ContainsRegex("Examples:\n  imgcachectl .*" + verb));
    }
}

TEST(ImgcachectlHelp, ShowsTheOptionsOfAVerbAndNoOthers) {
  const std::string top = ctl({"top", "--help"}).out;
  for (const char* option : {"  --interval TIME", "  -n, --count N", "  --once "})
    EXPECT_THAT(top, HasSubstr(option));
  EXPECT_THAT(top, testing::Not(HasSubstr("--dry-run")));
  EXPECT_THAT(ctl({"evict", "--help"}).out, HasSubstr("  --all "));
  EXPECT_THAT(ctl({"list", "--help"}).out, HasSubstr("  --queued "));
  EXPECT_THAT(ctl({"map", "--help"}).out, HasSubstr("may lag a running fill by a second"));
}

TEST(ImgcachectlHelp, TellsItsVersion) {
  CommandResult version = ctl({"-V"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.out, std::string("imgcachectl ") + IMGCACHEFS_VERSION + "\n");
}

}  // namespace
}  // namespace imgcachefs::test
