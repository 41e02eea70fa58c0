// ImageFs: the store as a file system. The adapter between FUSE's requests and ImageStore.
//
// No method waits: what the store cannot answer at once is parked (parked.h) and replied to from
// the store's thread. Methods are called from any FUSE thread; each replies to its request exactly
// once, now or later. Must live until the store is shut down and the session's loop has ended.
#pragma once

#include <functional>
#include <memory>

#include "cache/image_store.h"
#include "fs/attributes.h"
#include "fs/backing_files.h"
#include "fs/departures.h"
#include "fs/error_log.h"
#include "fs/fuse.h"
#include "fs/mount_facts.h"
#include "fs/node_table.h"
#include "fs/open_files.h"
#include "fs/pages.h"
#include "fs/request_counters.h"
#include "fs/tree.h"
#include "fs/xattrs.h"

namespace imgcachefs {

class ImageFs {
 public:
  ImageFs(ImageStore& store, const UpstreamStats& upstream, MountFacts facts, Ownership ownership,
          bool passthrough);

  // Called once the kernel has said hello: from then on requests are answered.
  void on_ready(std::function<void()> hook) { ready_ = std::move(hook); }

  // Which open images the kernel reads by itself. To be ended before the session is.
  BackingFiles& backing_files() { return backing_files_; }

  // What the mount tells of itself. Lives as long as this.
  const Pages& pages() const { return pages_; }

  // No reply is made of its own accord after this: for the end, when the store is shut down.
  void stop() { departures_.stop(); }

  void init(fuse_conn_info& connection);
  void lookup(fuse_req_t request, uint64_t parent, const char* name);
  void forget(uint64_t node, uint64_t count) { nodes_.forget(node, count); }
  void getattr(fuse_req_t request, uint64_t node);
  void readlink(fuse_req_t request, uint64_t node);
  void open(fuse_req_t request, uint64_t node, const fuse_file_info& file);
  void read(fuse_req_t request, size_t size, off_t offset, const fuse_file_info& file);
  void lseek(fuse_req_t request, off_t offset, int whence, const fuse_file_info& file);
  void release(fuse_req_t request, const fuse_file_info& file);
  void opendir(fuse_req_t request, uint64_t node, const fuse_file_info& file);
  void readdir(fuse_req_t request, size_t size, off_t offset, const fuse_file_info& file);
  void statfs(fuse_req_t request);
  void getxattr(fuse_req_t request, uint64_t node, const char* name, size_t size);
  void listxattr(fuse_req_t request, uint64_t node, size_t size);

 private:
  void reply_entry(fuse_req_t request, const Found& found);
  void reply_control_entry(fuse_req_t request, uint64_t node);
  // Replies to an open; when the asker has left meanwhile, the file is closed again.
  void reply_open(fuse_req_t request, fuse_file_info reply, OpenFile::What what);
  void reply_error(fuse_req_t request, Operation operation, std::string_view image_id,
                   const Error& error);
  Xattrs xattrs_of(uint64_t node) const;
  std::optional<struct stat> attributes(uint64_t node) const;  // nullopt: there is no such node
  struct stat attributes(const Found& found) const;

  ImageStore& store_;
  const std::unique_ptr<Tree> tree_;
  const MountFacts facts_;
  const Ownership ownership_;
  std::function<void()> ready_;
  ErrorLog errors_;
  RequestCounters requests_;
  NodeTable nodes_;
  BackingFiles backing_files_;
  const Pages pages_;
  OpenFiles files_;
  Departures departures_;
};

}  // namespace imgcachefs
