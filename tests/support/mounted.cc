#include "support/mounted.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "base/posix.h"

namespace imgcachefs::test {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// The process of ours, by adoption, that was started for `mountpoint`.
pid_t find_daemon(const std::string& mountpoint) {
  const std::string parent = std::to_string(::getpid());
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string command = read_file((entry.path() / "cmdline").string());
    if (command.find(mountpoint + '\0') == std::string::npos) continue;
    // "pid (name) state ppid ...": the name ends with the last parenthesis.
    std::string stat = read_file((entry.path() / "stat").string());
    std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 1)));
    std::string state, ppid;
    fields >> state >> ppid;
    if (ppid == parent) return std::stoi(name);
  }
  return -1;
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

}  // namespace

bool wait_until(const std::function<bool()>& condition, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

Mounted::Mounted(MountSpec spec) : spec_(std::move(spec)) {
  // The daemon's parent exits: it becomes our child, and its exit code is ours to see.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  // The daemon knows its mount point by its real name.
  const std::string base = fs::canonical(base_.path());
  mountpoint_ = base + "/mnt";
  log_file_ = base + "/log";
  cache_dir_ = spec_.cache_dir.empty() ? base + "/cache" : spec_.cache_dir;
  fs::create_directory(mountpoint_);
  try {
    start();
  } catch (...) {
    clean_up();
    throw;
  }
}

Mounted::~Mounted() {
  clean_up();
}

void Mounted::start() {
  CommandResult result = try_start();
  if (!result.ok())
    throw std::runtime_error("imgcachefs did not mount: " + result.describe() + "\nlog: " + log());
}

CommandResult Mounted::try_start() {
  std::vector<std::string> options = {"cache_dir=" + cache_dir_, "log_file=" + log_file_};
  options.insert(options.end(), spec_.options.begin(), spec_.options.end());
  std::vector<std::string> argv = {built("imgcachefs"), spec_.source, mountpoint_, "-o",
                                   join(options)};
  argv.insert(argv.end(), spec_.arguments.begin(), spec_.arguments.end());
  CommandResult result = run(argv, {.env = spec_.env, .directory = {}});
  if (result.ok()) pid_ = find_daemon(mountpoint_);
  return result;
}

std::string Mounted::log() const {
  return read_file(log_file_);
}

std::string Mounted::read(const std::string& id, uint64_t offset, size_t length) const {
  UniqueFd fd(::open(path(id).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) throw_errno("open " + id);
  std::string bytes(length, '\0');
  size_t done = 0;
  while (done < length) {
    ssize_t n =
        ::pread(fd.get(), bytes.data() + done, length - done, static_cast<off_t>(offset + done));
    if (n < 0) throw_errno("read " + id);
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

std::string Mounted::read_all(const std::string& id) const {
  return read(id, 0, fs::file_size(path(id)));
}

int Mounted::read_errno(const std::string& id, uint64_t offset) const {
  UniqueFd fd(::open(path(id).c_str(), O_RDONLY | O_CLOEXEC));
  char byte;
  if (!fd || ::pread(fd.get(), &byte, 1, static_cast<off_t>(offset)) < 0) return errno;
  return 0;
}

std::optional<std::string> Mounted::xattr(const std::string& id, const std::string& name) const {
  const std::string file = id.empty() ? mountpoint_ : path(id);
  std::array<char, 4096> value;
  ssize_t n =
      ::getxattr(file.c_str(), ("user.imgcachefs." + name).c_str(), value.data(), value.size());
  if (n < 0 && errno == ENODATA) return std::nullopt;
  if (n < 0) throw_errno("getxattr " + file);
  return std::string(value.data(), static_cast<size_t>(n));
}

nlohmann::json Mounted::status() const {
  return nlohmann::json::parse(read_file(path(".imgcachefs/status")));
}

std::string Mounted::metrics() const {
  return read_file(path(".imgcachefs/metrics"));
}

bool Mounted::wait_state(const std::string& id, const std::string& state,
                         std::chrono::milliseconds timeout) const {
  return wait_until([&] { return xattr(id, "state") == state; }, timeout);
}

int Mounted::wait_exit(std::chrono::milliseconds timeout) {
  if (pid_ < 0) return -1;
  int status = 0;
  if (!wait_until([&] { return ::waitpid(pid_, &status, WNOHANG) != 0; }, timeout)) return -1;
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int Mounted::unmount(std::chrono::milliseconds timeout) {
  CommandResult result = run({"umount", mountpoint_});
  if (!result.ok()) throw std::runtime_error("umount: " + result.describe());
  return wait_exit(timeout);
}

int Mounted::terminate(int signal, std::chrono::milliseconds timeout) {
  ::kill(pid_, signal);
  return wait_exit(timeout);
}

void Mounted::kill9() {
  terminate(SIGKILL);
}

void Mounted::clean_up() {
  if (pid_ > 0) {
    // Gently first, so that a sanitizer has its say.
    if (terminate(SIGTERM, std::chrono::seconds(10)) < 0) kill9();
  }
  // A dead mount, or one that a test has stacked upon another.
  for (int i = 0; i < 4 && ::umount2(mountpoint_.c_str(), MNT_DETACH) == 0; ++i) {
  }
  if (::geteuid() != 0) run({"fusermount3", "-u", "-z", "-q", mountpoint_});
}

}  // namespace imgcachefs::test
