// Running a command from a test: with a time limit, its output and its exit code.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace imgcachefs::test {

struct CommandResult {
  int exit_code = -1;      // 128 + N when signal N ended it, as a shell has it; 127: not started
  bool timed_out = false;  // it was killed because the time was over
  std::string out, err;

  bool ok() const { return exit_code == 0 && !timed_out; }
  std::string describe() const;  // exit code and output, for a failed expectation
};

struct RunOptions {
  std::chrono::milliseconds timeout{60'000};
  std::map<std::string, std::string> env;  // set beside what the test has
  std::string directory;                   // where it runs; empty: here
};

// argv[0] is looked up in PATH. Standard input is /dev/null. A process that the command leaves in
// the background and that keeps its output open does not hold this call up: it returns when the
// command itself ends.
CommandResult run(const std::vector<std::string>& argv, const RunOptions& options = {});

// `program` as it was built (imgcachefs, imgcachectl).
std::string built(const std::string& program);

}  // namespace imgcachefs::test
