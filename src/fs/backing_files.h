// BackingFiles: which open nodes the kernel reads from the cache's file by itself (passthrough),
// and under which backing id.
//
// The kernel's rules (fs/fuse/iomode.c, passthrough.c and backing.c of Linux 6.9 to 6.18). An inode
// that is open anywhere is either in the page cache's mode or in passthrough with one backing file;
// an open that is answered otherwise fails with EIO, as does FOPEN_KEEP_CACHE beside
// FOPEN_PASSTHROUGH. An id is looked up when the opener takes in the answer; from then on the inode
// holds the backing file by itself, and lets go of it with the last file that is open, mapped ones
// included. So the mode of a node is decided by its first open and holds as long as it is open.
//
// "As long as it is open" has an end in the kernel and one here, and these are not the same moment.
// The kernel lets go first (fuse_file_put) and sends the RELEASE then. So, whatever the order in
// which our threads come to it:
//   - A node counts as open here from before the answer to an OPEN until its RELEASE is taken in
//     (or the answer could not be delivered: then the kernel never saw it). Whatever the kernel has
//     open is counted here.
//   - An OPEN that overtakes the RELEASE of the last open finds the old mode here. The kernel may
//     be free of it already, or not: the old mode and the old id are right in both cases.
//   - An OPEN that comes after that RELEASE finds nothing here. Then the kernel has nothing open
//     either, and any mode and any id is right; the old id may be closed at the same time as the
//     new one is made.
//   - Two first opens: the first of them to come here decides, and the other waits for that.
// There is no order that shows the kernel two modes, or two ids, of one inode. (A read that is
// under way holds its file, so its RELEASE comes after it.)
//
// An image that was closed is often opened again at once (look-ups of headers, chains of qemu
// commands): to make an id and to close it costs as much as the rest of an open. So the file and
// the id of a node are kept for a second after its last close; nobody is held up by that, as a file
// that is only kept is not locked, and kept files are closed when room is made.
//
// The kernel holds the very descriptor an id was made of, with its shared flock: an image that is
// read past us is not evicted, not even when this daemon has died and its readers go on.
//
// What cannot be done in passthrough: take bytes back. A file that is mapped is mapped for good. So
// who opens says whether the file may be given away (ImageHandle::passthrough_file).
//
// A refusal of the kernel that speaks of all files (no CAP_SYS_ADMIN in the first user namespace, a
// stacked file system) ends it for this mount, with one line in the log; any other is of one node,
// which goes the ordinary way while it is open.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/periodic_task.h"
#include "base/result.h"
#include "cache/image.h"

namespace imgcachefs {

// Where ids come from. Thread-safe.
class BackingIds {
 public:
  virtual ~BackingIds() = default;
  virtual Result<int> open(int fd) = 0;  // above 0
  virtual void close(int id) = 0;
};

// Of the kernel: `device` is the session's /dev/fuse, and stays open until this is gone.
std::unique_ptr<BackingIds> kernel_backing_ids(int device);

class BackingFiles;

// One open of a node, until it is released.
class BackingFile {
 public:
  BackingFile(BackingFiles& files, uint64_t node, int id) : files_(files), node_(node), id_(id) {}
  ~BackingFile();
  BackingFile(const BackingFile&) = delete;
  BackingFile& operator=(const BackingFile&) = delete;

  int id() const { return id_; }  // the node's; 0: the ordinary way

 private:
  BackingFiles& files_;
  const uint64_t node_;
  const int id_;
};

// Thread-safe. mutex_ protects files_ and kept_; nothing else happens under it.
class BackingFiles {
 public:
  using Duration = std::chrono::steady_clock::duration;

  explicit BackingFiles(bool wanted) : wanted_(wanted) {}

  // At FUSE_INIT: whether the kernel is to be told that we use it. When it is wanted and cannot be
  // had, the log says why.
  bool accept(bool offered);

  // Ids can be had from now on, until end(); before the first open, and after the last.
  void begin(std::unique_ptr<BackingIds> ids);
  void end();

  bool on() const { return on_; }

  // One more open of `node`, with the file to read from, or none when that must not be given away.
  // To be called when the open is going to be answered, and kept until its release.
  std::unique_ptr<const BackingFile> open(uint64_t node, const GivenFile& given);

  void let_go(Duration closed_for);  // closes what was kept so long, or longer

 private:
  friend class BackingFile;
  class Shared;
  struct Node {
    std::shared_ptr<Shared> file;
    unsigned opens = 0;  // 0: it is kept
    std::chrono::steady_clock::time_point closed{};
  };
  static constexpr size_t kMostKept = 64;

  void closed(uint64_t node);
  int new_id(int fd);  // 0: the ordinary way
  bool takes_direct_io(int fd);
  void turn_off(const std::string& why);

  const bool wanted_;
  std::atomic<bool> on_{false};
  std::atomic<bool> complained_{false}, direct_io_known_{false};
  std::unique_ptr<BackingIds> ids_;
  std::mutex mutex_;
  std::unordered_map<uint64_t, Node> files_;
  size_t kept_ = 0;
  std::unique_ptr<PeriodicTask> keeper_;
};

}  // namespace imgcachefs
