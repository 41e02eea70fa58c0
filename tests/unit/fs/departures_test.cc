#include "fs/departures.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

namespace imgcachefs {
namespace {

uint64_t set(std::initializer_list<int> signals) {
  uint64_t bits = 0;
  for (int signal : signals) bits |= uint64_t{1} << (signal - 1);
  return bits;
}

struct Signals {
  uint64_t thread = 0, process = 0, blocked = 0, ignored = 0, caught = 0;
};

bool leaves(const Signals& s) {
  return is_leaving(
      fmt::format("Name:\tqemu\nSigQ:\t1/3\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\nSigBlk:\t{:016x}\n"
                  "SigIgn:\t{:016x}\nSigCgt:\t{:016x}\nCapInh:\t0000000000000000\n",
                  s.thread, s.process, s.blocked, s.ignored, s.caught));
}

TEST(Departures, AreOfThoseWhomASignalEnds) {
  EXPECT_TRUE(leaves({.thread = set({SIGKILL})}));
  EXPECT_TRUE(leaves({.process = set({SIGALRM})}));
  EXPECT_TRUE(leaves({.thread = set({SIGRTMAX})}));
}

TEST(Departures, AreOfThoseWhoWereAskedToEnd) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
    EXPECT_TRUE(leaves({.process = set({signal}), .caught = set({signal})})) << signal;
}

TEST(Departures, AreNotOfThoseWhoWereOnlyDisturbed) {
  EXPECT_FALSE(leaves({}));  // io_uring's task work
  for (int signal : {SIGUSR1, SIGALRM, SIGPROF, SIGCHLD})
    EXPECT_FALSE(leaves({.thread = set({signal}), .caught = set({signal})})) << signal;
  for (int signal : {SIGCHLD, SIGWINCH, SIGURG, SIGTSTP})
    EXPECT_FALSE(leaves({.process = set({signal})})) << signal;
  EXPECT_FALSE(leaves({.process = set({SIGINT}), .ignored = set({SIGINT})}));
  EXPECT_FALSE(leaves({.process = set({SIGTERM}), .blocked = set({SIGTERM})}));
  EXPECT_FALSE(is_leaving(""));  // whoever /proc does not show
}

}  // namespace
}  // namespace imgcachefs
