#include "fs/daemon.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/log.h"
#include "base/units.h"
#include "cache/image_store.h"
#include "fetch/exchangeable_upstream.h"
#include "fetch/open_upstream.h"
#include "fs/image_fs.h"
#include "fs/mount_session.h"
#include "fs/mount_table.h"
#include "fs/named_files.h"
#include "fs/privileges.h"
#include "fs/service_manager.h"
#include "fs/start_signal.h"
#include "fs/status_site.h"

namespace imgcachefs {
namespace {

int complain(int code, const std::string& reason) {
  std::fprintf(stderr, "imgcachefs: %s\n", reason.c_str());
  return code;
}

// Every open image is a descriptor of ours, and a hypervisor opens many.
void raise_descriptor_limit() {
  rlimit limit;
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Large pieces of memory are mapped one by one, and go back when they are freed. Left to itself
// malloc stops doing so at the first one that is freed, and each of dozens of threads keeps
// megabytes.
void give_back_large_pieces() {
  ::mallopt(M_MMAP_THRESHOLD, 512 << 10);
}

// For systemctl status.
std::string status_line(const SpaceUsage& space, const std::vector<FillStatus>& fills) {
  double rate = 0;
  for (const FillStatus& fill : fills) rate += fill.rate;
  std::string line = fmt::format("{} images cached, {} of {}", space.images, human_size(space.used),
                                 human_size(space.limit));
  if (!fills.empty())
    line += fmt::format("; {} being filled, {}/s", fills.size(),
                        human_size(static_cast<uint64_t>(rate)));
  return line;
}

// The life of a mount. The order of the locals is that of DESIGN section 3: the session ends before
// the file system it calls, that before the store, that before the upstream.
Status serve(const MountOptions& options, const RereadOptions& reread, StartSignal& start) {
  if (auto log = start_log(options.log); !log) return log;
  for (const std::string& warning : options.warnings) spdlog::warn(warning);
  ::signal(SIGPIPE, SIG_IGN);
  block_signals();
  raise_descriptor_limit();
  give_back_large_pieces();
  if (auto dropped = drop_privileges(); !dropped) spdlog::warn(dropped.error().message);

  auto opened = open_upstream(options.where, options.upstream);
  if (!opened) return fail(opened.error());
  ExchangeableUpstream upstream(std::move(opened->upstream));
  StoreConfig config = options.store;
  config.source = opened->record;
  auto store = ImageStore::open(config, upstream);
  if (!store) return fail(store.error());

  ImageFs fs(**store, upstream.stats(),
             {IMGCACHEFS_VERSION, options.source, options.store.cache_dir},
             {options.uid, options.gid, options.mode}, options.passthrough);
  const ServiceManager manager;
  fs.on_ready([&] {
    spdlog::info("{} is mounted at {}, cache {}", options.source, options.mountpoint,
                 options.store.cache_dir);
    start.ready();
    manager.ready();
  });
  std::unique_ptr<StatusSite> site;
  if (options.metrics_listen) {
    auto started = StatusSite::start(*options.metrics_listen, fs.pages());
    if (!started) return fail(started.error());
    site = std::move(*started);
  }
  auto session = MountSession::mount(options, fs);
  if (!session) return fail(session.error());
  (*store)->on_forget_bytes(
      [&](const Image& image) { (*session)->drop_pages(node::of_serial(image.serial())); });
  (*store)->on_files_removed([&] { fs.backing_files().let_go(BackingFiles::Duration::zero()); });
  (*store)->take_up_queue();
  Reload reload(options, config.source, reread, **store, upstream);
  MountSession::Hooks hooks;
  hooks.reload = [&] {
    manager.reloading();
    reload.run();
    manager.ready();
  };
  if (manager.listens())
    hooks.look = [&] { manager.status(status_line((*store)->space(), (*store)->fills())); };
  hooks.shut_down_store = [&] {
    manager.stopping();
    (*store)->shutdown();
    fs.stop();
  };
  auto served = (*session)->serve(hooks);
  spdlog::info("{}: unmounted", options.mountpoint);
  return served;
}

int run(const MountOptions& options, const RereadOptions& reread, StartSignal start) {
  auto served = serve(options, reread, start);
  if (served) return kExitOk;
  // Where the log is the terminal, it is said there once.
  if (options.log.background || !options.log.file.empty())
    spdlog::error("{}", served.error().message);
  start.failed(served.error().message);
  return kExitMountFailed;
}

// Does the mount answer, and is it ours?
Status check_mounted(const std::string& mountpoint) {
  struct stat st {};
  if (::stat(mountpoint.c_str(), &st) < 0) return fail_errno(mountpoint, errno);
  auto mount = mounted_at(mountpoint);
  if (!mount || mount->type != "fuse.imgcachefs" || mount->device != st.st_dev)
    return fail(ErrorKind::kIo, fmt::format("{}: the mount is not there", mountpoint));
  return {};
}

std::string how_it_ended(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? fmt::format("signal {}", WTERMSIG(status))
                             : fmt::format("exit code {}", WEXITSTATUS(status));
}

// What the caller left open is not ours to keep: a lock file of a script would stay locked, and an
// open file of another mount would keep that one alive.
void close_inherited(int keep) {
  if (keep > 3) ::close_range(3, static_cast<unsigned>(keep) - 1, 0);
  ::close_range(static_cast<unsigned>(keep) + 1, ~0U, 0);
}

int run_in_background(const MountOptions& options, const RereadOptions& reread) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return complain(kExitMountFailed, "cannot make a pipe");
  UniqueFd read(ends[0]), write(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return complain(kExitMountFailed, "cannot start a process");
  if (pid == 0) {
    read.reset();
    close_inherited(write.get());
    ::umask(027);
    if (::chdir("/") < 0) return kExitMountFailed;
    return run(options, reread, StartSignal(std::move(write)));
  }
  write.reset();
  auto reason = StartSignal::wait(read.get());
  if (!reason)
    return complain(kExitMountFailed,
                    fmt::format("the daemon died while it started ({})", how_it_ended(pid)));
  if (!reason->empty()) {
    how_it_ended(pid);  // it has let go of the cache directory when we are done
    return complain(kExitMountFailed, *reason);
  }
  if (auto there = check_mounted(options.mountpoint); !there)
    return complain(kExitMountFailed, there.error().message);
  return kExitOk;
}

// What is wrong with them is told before anything is begun.
Status load_upstream_options(MountOptions& options) {
  if (auto loaded = load_named_files(options); !loaded) return loaded;
  if (options.source.empty()) return {};  // --check-config of options alone
  // Only to see whether it can be.
  auto upstream = open_upstream(options.where, options.upstream);
  return upstream ? Status{} : fail(upstream.error());
}

}  // namespace

Status check_options(const MountOptions& given) {
  MountOptions options = given;
  return load_upstream_options(options);
}

int mount_and_serve(const MountOptions& given, const RereadOptions& reread) {
  MountOptions options = given;
  // Until the daemon has its own log, what there is to say belongs on the terminal.
  if (auto log = start_log({.level = options.log.level, .file = {}, .background = false}); !log)
    return complain(kExitUsage, log.error().message);
  if (auto loaded = load_upstream_options(options); !loaded)
    return complain(kExitUsage, loaded.error().message);
  auto fit = prepare_mount_point(options.mountpoint, options.store.cache_dir, options.log.file);
  if (!fit) return complain(kExitMountFailed, fit.error().message);
  return options.foreground ? run(options, reread, StartSignal())
                            : run_in_background(options, reread);
}

}  // namespace imgcachefs
