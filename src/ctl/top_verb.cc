#include "ctl/top_verb.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "ctl/mount.h"
#include "ctl/screen.h"
#include "ctl/signals.h"
#include "ctl/top_page.h"
#include "ctl/top_snapshot.h"

namespace imgcachefs {
namespace {

using Clock = std::chrono::steady_clock;

Result<std::string> mountpoint_of(const CommandLine& command) {
  if (!command.mountpoint.empty()) {
    if (auto dir = mount_cache_dir(command.mountpoint); !dir) return fail(dir.error());
    return command.mountpoint;
  }
  if (auto found = find_mount(command.cache_dir)) return *found;
  return fail(ErrorKind::kInvalid,
              fmt::format("{}: no imgcachefs that this program can see has it mounted, so there is "
                          "nothing to watch (-m MOUNTPOINT names another)",
                          command.cache_dir));
}

Error gone(const std::string& mountpoint, const Error& error) {
  return {ErrorKind::kIo, fmt::format("{}: the mount is gone, or does not answer any more ({})",
                                      mountpoint, error.message)};
}

// Prints so many snapshots (none given: on and on), for logs, pipes and programs.
Result<ExitCode> print_snapshots(const CommandLine& command, const std::string& mountpoint) {
  const Signals signals{SIGINT, SIGTERM};
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  std::optional<TopSnapshot> before;
  for (uint64_t count = 0; !command.count || count < *command.count; ++count) {
    if (before && signals.wait(static_cast<int>(command.interval.count() * 1000))) break;
    auto snapshot = take_snapshot(mountpoint, before ? &*before : nullptr);
    if (!snapshot) return fail(before ? gone(mountpoint, snapshot.error()) : snapshot.error());
    std::string text;
    if (command.json) {
      text = to_line(to_json(*snapshot)) + "\n";
    } else {
      Terminal page = terminal;
      page.rows = SIZE_MAX;  // it scrolls
      if (before) text += "\n";
      for (const std::string& line : top_page(*snapshot, page)) text += line + "\n";
    }
    // Whoever reads a pipe and has enough closes it: no signal of that is held back, so it ends us.
    if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) break;
    before = std::move(*snapshot);
  }
  return ExitCode::kDone;
}

class LiveView {
 public:
  LiveView(std::string mountpoint, std::chrono::seconds interval)
      : mountpoint_(std::move(mountpoint)), interval_(interval) {}

  Result<ExitCode> run() {
    auto first = take_snapshot(mountpoint_, nullptr);
    if (!first) return fail(first.error());
    snapshot_ = std::move(*first);
    const Signals signals{SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};
    Screen screen;
    auto next = Clock::now() + interval_;
    while (draw(screen)) {
      if (!wait(screen, signals, next)) break;
      if (Clock::now() < next) continue;  // a new size, or a key that means nothing
      next = Clock::now() + interval_;
      auto snapshot = take_snapshot(mountpoint_, &*snapshot_);
      if (!snapshot) return fail(gone(mountpoint_, snapshot.error()));
      snapshot_ = std::move(*snapshot);
    }
    return ExitCode::kDone;
  }

 private:
  bool draw(Screen& screen) const {
    const Terminal terminal = terminal_of(STDOUT_FILENO);
    return screen.draw(top_page(*snapshot_, terminal, screen.has_keys() ? "q ends" : "ctrl-C ends"),
                       terminal);
  }

  // Until it is time, or something happens. False: it is to end.
  static bool wait(Screen& screen, const Signals& signals, Clock::time_point until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now());
    std::array<struct pollfd, 2> fds = {pollfd{signals.fd(), POLLIN, 0},
                                        pollfd{screen.has_keys() ? STDIN_FILENO : -1, POLLIN, 0}};
    ::poll(fds.data(), fds.size(), static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if ((fds[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) return false;
    while (auto key = screen.key())
      if (*key == 'q' || *key == 'Q') return false;
    if (screen.keys_ended()) return false;
    while (auto signal = signals.take()) {
      if (*signal == SIGTSTP) {
        screen.leave();
        ::raise(SIGSTOP);  // until it is in the foreground again
        screen.enter();
      } else if (*signal != SIGWINCH) {
        return false;
      }
    }
    return true;
  }

  const std::string mountpoint_;
  const std::chrono::seconds interval_;
  std::optional<TopSnapshot> snapshot_;
};

}  // namespace

Result<ExitCode> run_top(const CommandLine& command) {
  auto mountpoint = mountpoint_of(command);
  if (!mountpoint) return fail(mountpoint.error());
  const bool live = terminal_of(STDOUT_FILENO).moves && !command.count && !command.json;
  return live ? LiveView(*mountpoint, command.interval).run()
              : print_snapshots(command, *mountpoint);
}

}  // namespace imgcachefs
