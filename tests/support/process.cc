#include "support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "base/posix.h"

namespace imgcachefs::test {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) throw std::system_error(errno, std::generic_category());
    read.reset(ends[0]);
    write.reset(ends[1]);
    ::fcntl(read.get(), F_SETFL, O_NONBLOCK);
  }
  UniqueFd read, write;
};

// What can be had without waiting is added to `text`.
void drain(int fd, std::string& text) {
  std::array<char, 65536> buffer;
  ssize_t n;
  while ((n = ::read(fd, buffer.data(), buffer.size())) > 0)
    text.append(buffer.data(), static_cast<size_t>(n));
}

[[noreturn]] void become(const std::vector<std::string>& argv, const RunOptions& options,
                         const Pipe& out, const Pipe& err) {
  UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ::dup2(in.get(), 0);
  ::dup2(out.write.get(), 1);
  ::dup2(err.write.get(), 2);
  if (!options.directory.empty() && ::chdir(options.directory.c_str()) < 0) ::_exit(127);
  for (const auto& [name, value] : options.env) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  ::execvp(args[0], args.data());
  ::_exit(127);
}

}  // namespace

std::string CommandResult::describe() const {
  return "exit code " + std::to_string(exit_code) + (timed_out ? " (timed out)" : "") +
         "\nstdout: " + out + "\nstderr: " + err;
}

CommandResult run(const std::vector<std::string>& argv, const RunOptions& options) {
  Pipe out, err;
  pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) become(argv, options, out, err);
  out.write.reset();
  err.write.reset();

  CommandResult result;
  const auto deadline = Clock::now() + options.timeout;
  int status = 0;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (!result.timed_out && Clock::now() > deadline) {
      result.timed_out = true;
      ::kill(pid, SIGKILL);
    }
    std::array<pollfd, 2> wait = {pollfd{out.read.get(), POLLIN, 0},
                                  pollfd{err.read.get(), POLLIN, 0}};
    ::poll(wait.data(), wait.size(), 5);
    drain(out.read.get(), result.out);
    drain(err.read.get(), result.err);
    // With both ends closed poll() returns at once.
    if ((wait[0].revents & POLLHUP) && (wait[1].revents & POLLHUP))
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  drain(out.read.get(), result.out);
  drain(err.read.get(), result.err);
  result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

std::string built(const std::string& program) {
  return std::string(IMGCACHEFS_BIN_DIR) + "/" + program;
}

}  // namespace imgcachefs::test
