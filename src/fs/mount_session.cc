#include "fs/mount_session.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/log.h"
#include "base/posix.h"
#include "fs/answers.h"
#include "fs/fuse_operations.h"
#include "fs/mount_table.h"
#include "fs/read_ahead.h"

namespace imgcachefs {
namespace {

// Four times the kernel's: fewer and larger requests make sequential reads up to a quarter faster,
// more than this makes no difference.
constexpr uint64_t kReadAhead = 512 << 10;

sigset_t taken_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}

// The value of a libfuse option: a comma would end it.
std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == ',' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

void log_fuse(fuse_log_level level, const char* format, va_list arguments) {
  std::array<char, 512> line;
  std::vsnprintf(line.data(), line.size(), format, arguments);
  std::string_view text(line.data());
  if (text.ends_with('\n')) text.remove_suffix(1);
  spdlog::log(level <= FUSE_LOG_ERR ? spdlog::level::err : spdlog::level::debug, "{}", text);
}

using LoopConfig = std::unique_ptr<fuse_loop_config, decltype(&fuse_loop_cfg_destroy)>;

constexpr std::chrono::milliseconds kLookEvery{10'000};

bool has_terminal() {
  return static_cast<bool>(UniqueFd(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC)));
}

bool connection_is_cut(int fd) {
  pollfd wait{fd, 0, 0};
  return ::poll(&wait, 1, 0) == 1 && (wait.revents & POLLERR);
}

}  // namespace

void block_signals() {
  const sigset_t set = taken_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void MountSession::Destroy::operator()(fuse_session* session) const {
  // fuse_session_unmount() would also unmount by path, and by now another may be mounted there; it
  // is safe, and wanted for what it frees, once the kernel has let go of the connection.
  if (connection_is_cut(fuse_session_fd(session))) fuse_session_unmount(session);
  fuse_session_destroy(session);
}

MountSession::~MountSession() {
  fs_.backing_files().end();  // what is still open here goes later, and the device before it
}

Result<std::unique_ptr<MountSession>> MountSession::mount(const MountOptions& options,
                                                          ImageFs& fs) {
  std::string mount_options =
      "ro,nosuid,nodev,default_permissions,subtype=imgcachefs,fsname=" + escaped(options.source);
  if (options.allow_other) mount_options += ",allow_other";
  std::string program = "imgcachefs", dash_o = "-o";
  std::array<char*, 4> argv = {program.data(), dash_o.data(), mount_options.data(), nullptr};
  fuse_args arguments = FUSE_ARGS_INIT(3, argv.data());

  const fuse_lowlevel_ops operations = fuse_operations();
  std::unique_ptr<MountSession> session(new MountSession(fs));
  session->session_.reset(fuse_session_new(&arguments, &operations, sizeof operations, &fs));
  fuse_opt_free_args(&arguments);
  if (!session->session_) return fail(ErrorKind::kInvalid, "libfuse refuses the mount options");
  if (fuse_session_mount(session->session_.get(), options.mountpoint.c_str()) != 0)
    return fail(ErrorKind::kIo, fmt::format("cannot mount at {}", options.mountpoint));
  if (auto amended = amend_init_reply(session->session_.get()); !amended) {
    fuse_session_unmount(session->session_.get());
    return fail(amended.error());
  }
  fs.backing_files().begin(kernel_backing_ids(fuse_session_fd(session->session_.get())));
  session->mountpoint_ = options.mountpoint;
  session->foreground_ = options.foreground;
  // With fill=demand only what is read is fetched, and nobody reads what the kernel reads ahead.
  if (options.store.fill != FillMode::kDemand) session->read_ahead_ = kReadAhead;
  if (auto mount = mounted_at(options.mountpoint)) session->device_ = mount->device;
  return session;
}

void MountSession::drop_pages(uint64_t node) {
  const int result = fuse_lowlevel_notify_inval_inode(session_.get(), node, 0, 0);
  // ENOENT: the kernel has forgotten the node, and its pages with it.
  if (result != 0 && result != -ENOENT)
    spdlog::warn("cannot make the kernel drop the pages of node {}: {}", node,
                 std::strerror(-result));
}

void MountSession::wait_for_the_end(int ended, int signals, const Hooks& hooks) const {
  const bool had_terminal = foreground_ && has_terminal();
  const int every = hooks.look ? static_cast<int>(kLookEvery.count()) : -1;
  std::array<pollfd, 2> events = {pollfd{ended, POLLIN, 0}, pollfd{signals, POLLIN, 0}};
  while (true) {
    if (hooks.look) hooks.look();
    const int ready = ::poll(events.data(), events.size(), every);
    if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
    signalfd_siginfo info{};
    if (ready < 0 || (events[0].revents & POLLIN) || ::read(signals, &info, sizeof info) <= 0)
      return;
    if (info.ssi_signo != SIGHUP || (had_terminal && !has_terminal())) {
      spdlog::info("{}: unmounting on signal {}", mountpoint_, info.ssi_signo);
      return;
    }
    hooks.reload();
  }
}

Status MountSession::serve(const Hooks& hooks) {
  fuse_set_log_func(log_fuse);
  UniqueFd ended(::eventfd(0, EFD_CLOEXEC));
  const sigset_t set = taken_signals();
  UniqueFd signals(::signalfd(-1, &set, SFD_CLOEXEC));
  if (!ended || !signals) return fail_errno("signalfd", errno);
  // Only there to interrupt the wait of the loop, below.
  struct sigaction nothing {};
  nothing.sa_handler = [](int) {};
  ::sigaction(SIGUSR1, &nothing, nullptr);

  int loop_error = 0;
  std::thread loop([&] {
    LoopConfig config(fuse_loop_cfg_create(), &fuse_loop_cfg_destroy);
    fuse_loop_cfg_set_clone_fd(config.get(), 1);
    fuse_loop_cfg_set_max_threads(config.get(), 10);
    loop_error = fuse_session_loop_mt(session_.get(), config.get());
    ::eventfd_write(ended.get(), 1);
  });
  if (read_ahead_ > 0) set_read_ahead(mountpoint_, device_, read_ahead_);

  wait_for_the_end(ended.get(), signals.get(), hooks);
  detach_mount(mountpoint_, device_, !connection_is_cut(fuse_session_fd(session_.get())));
  hooks.shut_down_store();

  fuse_session_exit(session_.get());
  // The loop looks at the flag and then waits: the signal is repeated until it has been seen.
  pollfd over{ended.get(), POLLIN, 0};
  while (::poll(&over, 1, 20) == 0) ::pthread_kill(loop.native_handle(), SIGUSR1);
  loop.join();
  if (loop_error < 0)
    return fail(ErrorKind::kIo, fmt::format("FUSE: {}", std::strerror(-loop_error)));
  return {};
}

}  // namespace imgcachefs
