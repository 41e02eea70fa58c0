// A real mount for a test: starts the built imgcachefs in the background as a user would, and takes
// everything away again, however the test ends.
//
//     Mounted mount({.source = nginx.url(), .options = {"fill=demand", "max_size=1G"}});
//     EXPECT_EQ(mount.read("image", 0, 4096), ...);
//     EXPECT_EQ(mount.xattr("image", "state"), "incomplete");
//     mount.kill9();
//     mount.start();                       // the same source, cache and mount point
//     EXPECT_EQ(mount.unmount(), 0);       // exit code of the daemon
//
// Needs root or a usable fusermount3. Not thread-safe but for the const methods.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

struct MountSpec {
  std::string source;
  std::vector<std::string> options;         // for -o, joined with commas
  std::vector<std::string> arguments = {};  // others, after the mount point
  std::map<std::string, std::string> env = {};
  std::string cache_dir = {};  // empty: a new one, removed at the end
};

class Mounted {
 public:
  // Mounts; throws std::runtime_error with what the program said when it does not come up.
  explicit Mounted(MountSpec spec);
  ~Mounted();  // kills what still runs, unmounts lazily, removes the directories it made
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;

  // Mounts again after kill9(), terminate() or unmount().
  void start();
  // The same without the exception: what the program said. A mount that came up is this one's.
  CommandResult try_start();

  // Options of the next start().
  std::vector<std::string>& options() { return spec_.options; }

  const std::string& path() const { return mountpoint_; }
  std::string path(const std::string& id) const { return mountpoint_ + "/" + id; }
  const std::string& cache_dir() const { return cache_dir_; }
  pid_t pid() const { return pid_; }  // the daemon; -1 when none runs
  std::string log() const;            // all lines so far, of all daemons of this mount

  // Bytes of an image, short at its end. Throws std::system_error with the errno of open or read.
  std::string read(const std::string& id, uint64_t offset, size_t length) const;
  std::string read_all(const std::string& id) const;
  // The errno an open, or a read of the first byte, gives; 0 when both go well.
  int read_errno(const std::string& id, uint64_t offset = 0) const;

  // `user.imgcachefs.<name>` of an image, or of the root with an empty id; nullopt when absent.
  std::optional<std::string> xattr(const std::string& id, const std::string& name) const;
  nlohmann::json status() const;  // .imgcachefs/status
  std::string metrics() const;    // .imgcachefs/metrics
  // Waits until xattr "state" of the image says `state`; false after the time.
  bool wait_state(const std::string& id, const std::string& state,
                  std::chrono::milliseconds timeout = std::chrono::seconds(60)) const;

  // How the daemon ends. Each waits for its end and gives its exit code, 128 + N after signal N,
  // and -1 when it does not end within the time.
  int unmount(std::chrono::milliseconds timeout = std::chrono::seconds(30));  // umount(8)
  int terminate(int signal, std::chrono::milliseconds timeout = std::chrono::seconds(30));
  void kill9();  // leaves the dead mount behind, as a crash does
  int wait_exit(std::chrono::milliseconds timeout);

 private:
  void clean_up();

  MountSpec spec_;
  TempDir base_;  // mount point, log, cache
  std::string mountpoint_, cache_dir_, log_file_;
  pid_t pid_ = -1;
};

// Asks `condition` every few milliseconds until it holds; false after the time.
bool wait_until(const std::function<bool()>& condition,
                std::chrono::milliseconds timeout = std::chrono::seconds(30));

}  // namespace imgcachefs::test
