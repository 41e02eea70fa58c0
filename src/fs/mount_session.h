// MountSession: one mount, from mount(2) to the end of its last request.
//
// How it ends, and why in this order. A signal: the mount is taken out of sight, then the store is
// shut down while the FUSE threads still run, so every reader that waits is answered, and whoever
// asks anew meanwhile is answered too (with the store's kCancelled); only then do the threads end,
// and closing the connection wakes whatever request was left between. Were the threads stopped
// first, a store thread that tells the kernel to drop pages could wait for ever on a page whose
// read nobody takes any more. An umount(8): the kernel has ended the threads already.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "fs/image_fs.h"
#include "fs/mount_options.h"

namespace imgcachefs {

class MountSession {
 public:
  // Mounts; requests queue up until serve(). libfuse writes what it has to say of a failure to
  // stderr. `fs` outlives it. The signals that serve() takes must be blocked already
  // (block_signals()).
  static Result<std::unique_ptr<MountSession>> mount(const MountOptions& options, ImageFs& fs);
  ~MountSession();
  MountSession(const MountSession&) = delete;
  MountSession& operator=(const MountSession&) = delete;

  using Hook = std::function<void()>;
  // Called on the thread that calls serve(), one after the other.
  struct Hooks {
    Hook reload;           // on SIGHUP
    Hook look;             // every ten seconds; may be empty
    Hook shut_down_store;  // once, where the order above has it
  };
  // Answers requests until the end, on threads of its own.
  Status serve(const Hooks& hooks);

  // Makes the kernel drop what it has cached of a node. From any thread but FUSE's, until
  // `shut_down_store` has returned.
  void drop_pages(uint64_t node);

 private:
  explicit MountSession(ImageFs& fs) : fs_(fs) {}

  // Waits until `ended` can be read, or a signal says that it is enough.
  void wait_for_the_end(int ended, int signals, const Hooks& hooks) const;

  struct Destroy {
    void operator()(fuse_session* session) const;
  };
  ImageFs& fs_;
  std::unique_ptr<fuse_session, Destroy> session_;
  std::string mountpoint_;
  dev_t device_ = 0;         // of the mounted file system
  uint64_t read_ahead_ = 0;  // bytes; 0: the kernel's own
  bool foreground_ = false;
};

// SIGTERM, SIGINT and SIGHUP wait for serve() to take them. The first two end the mount; SIGHUP
// does when it says that the terminal of a mount in the foreground is gone. To be called before any
// thread starts.
void block_signals();

}  // namespace imgcachefs
