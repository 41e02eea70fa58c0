#include "fetch/credential_helper.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "base/posix.h"
#include "base/text.h"

// glibc 2.36 has it in <sys/pidfd.h>, which is not made for C++.
extern "C" int pidfd_open(pid_t pid, unsigned flags) noexcept;

namespace imgcachefs {
namespace {

using HelperClock = std::chrono::steady_clock;

constexpr size_t kLongestReply = 64 << 10;
constexpr size_t kLongestServer = 2048;  // goes into an empty pipe in one piece
// What they say on standard output, and an exit code of 1, when they have nothing.
constexpr std::string_view kNothingKept = "credentials not found in native keychain";

struct HelperPipe {
  Status open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) < 0) return fail_errno("pipe", errno);
    read.reset(ends[0]);
    write.reset(ends[1]);
    return {};
  }
  UniqueFd read, write;
};

// The child: gone at the latest with this object, with all that it started.
class HelperProcess {
 public:
  HelperProcess() = default;
  ~HelperProcess() {
    if (pid_ <= 0) return;
    ::kill(-pid_, SIGKILL);
    wait();
  }
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;

  // 0, or an errno.
  int start(const std::string& program, int in, int out) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&how);
    ::posix_spawn_file_actions_adddup2(&files, in, 0);
    ::posix_spawn_file_actions_adddup2(&files, out, 1);
    ::posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    // A group of its own, to be killed as one; signals as a program expects them.
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    ::posix_spawnattr_setflags(
        &how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    ::posix_spawnattr_setpgroup(&how, 0);
    ::posix_spawnattr_setsigmask(&how, &none);
    ::posix_spawnattr_setsigdefault(&how, &all);
    std::string name = program, verb = "get";
    std::array<char*, 3> argv = {name.data(), verb.data(), nullptr};
    const int error = ::posix_spawnp(&pid_, program.c_str(), &files, &how, argv.data(), environ);
    ::posix_spawnattr_destroy(&how);
    ::posix_spawn_file_actions_destroy(&files);
    if (error != 0) {
      pid_ = -1;
      return error;
    }
    ended_.reset(::pidfd_open(pid_, 0));
    return ended_ ? 0 : errno;
  }

  int ended_fd() const { return ended_.get(); }  // readable once it has ended

  // Its exit code; 128 + N when signal N ended it.
  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
    pid_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_ = -1;
  UniqueFd ended_;
};

// What can be had without waiting is added to `text`; false: it is too much.
bool drain_reply(int fd, std::string& text) {
  std::array<char, 4096> piece;
  ssize_t n;
  while ((n = ::read(fd, piece.data(), piece.size())) > 0 || (n < 0 && errno == EINTR)) {
    if (n < 0) continue;
    if (text.size() + static_cast<size_t>(n) > kLongestReply) return false;
    text.append(piece.data(), static_cast<size_t>(n));
  }
  return true;
}

struct HelperReply {
  int exit_code = 0;
  std::string text;
};

Result<HelperReply> run_helper(const std::string& program, const std::string& server,
                               std::chrono::milliseconds limit, std::stop_token stop) {
  const auto deadline = HelperClock::now() + limit;
  HelperPipe in, out;
  if (auto opened = in.open(); !opened) return fail(opened.error());
  if (auto opened = out.open(); !opened) return fail(opened.error());
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return fail_errno("eventfd", errno);
  ::fcntl(out.read.get(), F_SETFL, O_NONBLOCK);
  // All is said before there is somebody who could leave without listening: no SIGPIPE.
  if (::write(in.write.get(), server.data(), server.size()) != static_cast<ssize_t>(server.size()))
    return fail_errno("pipe", errno);
  in.write.reset();

  HelperProcess process;
  if (const int error = process.start(program, in.read.get(), out.write.get()); error != 0)
    return fail(ErrorKind::kUnavailable,
                fmt::format("cannot run it: {}", system_error(program, error).message));
  out.write.reset();

  std::stop_callback on_stop(stop, [&] {
    const uint64_t one = 1;
    [[maybe_unused]] auto n = ::write(wake.get(), &one, sizeof one);
  });
  HelperReply reply;
  bool open = true;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - HelperClock::now()).count();
    if (stop.stop_requested()) return fail(ErrorKind::kCancelled, "cancelled");
    if (left <= 0)
      return fail(ErrorKind::kTimeout, fmt::format("no answer within {} ms", limit.count()));
    std::array<pollfd, 3> wait = {pollfd{process.ended_fd(), POLLIN, 0},
                                  pollfd{wake.get(), POLLIN, 0},
                                  pollfd{open ? out.read.get() : -1, POLLIN, 0}};
    ::poll(wait.data(), wait.size(), static_cast<int>(std::min<int64_t>(left, 60'000)));
    if (!drain_reply(out.read.get(), reply.text))
      return fail(ErrorKind::kProtocol,
                  fmt::format("its answer is longer than {} bytes", kLongestReply));
    if ((wait[2].revents & POLLHUP) != 0) open = false;
    // Not the end of its output: who it left behind may hold that open.
    if ((wait[0].revents & POLLIN) != 0) {
      reply.exit_code = process.wait();
      drain_reply(out.read.get(), reply.text);
      return reply;
    }
  }
}

}  // namespace

bool is_helper_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
  });
}

Result<std::optional<RegistrySecrets>> ask_helper(const HelperQuestion& question,
                                                  std::chrono::milliseconds limit,
                                                  std::stop_token stop) {
  if (!is_helper_name(question.name))
    return fail(ErrorKind::kInvalid,
                fmt::format("'{}' is no name of a credential helper", question.name));
  const std::string program = "docker-credential-" + question.name;
  auto wrong = [&](ErrorKind kind, std::string_view why) {
    return fail(kind, fmt::format("{} for {}: {}", program, question.server, why));
  };
  if (question.server.size() > kLongestServer)
    return wrong(ErrorKind::kInvalid, "the name is too long");
  auto reply = run_helper(program, question.server, limit, std::move(stop));
  if (!reply) return fail(reply.error().in(fmt::format("{} for {}", program, question.server)));
  if (reply->exit_code != 0) {
    std::string_view said = reply->text;
    while (said.ends_with('\n')) said.remove_suffix(1);
    if (trimmed(said) == kNothingKept) return std::nullopt;
    return wrong(ErrorKind::kUnavailable,
                 fmt::format("it failed (exit code {})", reply->exit_code));
  }
  const auto answer = nlohmann::json::parse(reply->text, nullptr, false);
  auto text = [&](const char* key) -> std::optional<std::string> {
    if (!answer.is_object()) return std::nullopt;
    auto it = answer.find(key);
    if (it == answer.end() || !it->is_string()) return std::nullopt;
    return it->get<std::string>();
  };
  const auto username = text("Username"), secret = text("Secret");
  if (!username || !secret) return wrong(ErrorKind::kProtocol, "its answer is no login");
  RegistrySecrets secrets;
  secrets.whence = program;
  if (*username == "<token>")
    secrets.identity_token = *secret;
  else
    std::tie(secrets.username, secrets.password) = std::tie(*username, *secret);
  if (secrets.empty()) return std::nullopt;
  return secrets;
}

}  // namespace imgcachefs
