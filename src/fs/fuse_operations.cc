#include "fs/fuse_operations.h"

#include <cerrno>

namespace imgcachefs {
namespace {

ImageFs& fs(fuse_req_t request) {
  return *static_cast<ImageFs*>(fuse_req_userdata(request));
}

// For what would change something. The kernel refuses most of it itself, as the mount is read-only;
// root can remount it read-write, and then it is us.
template <typename... Arguments>
void refuse(fuse_req_t request, Arguments...) {
  fuse_reply_err(request, EROFS);
}

}  // namespace

fuse_lowlevel_ops fuse_operations() {
  fuse_lowlevel_ops ops{};
  ops.init = [](void* self, fuse_conn_info* connection) {
    static_cast<ImageFs*>(self)->init(*connection);
  };
  ops.lookup = [](fuse_req_t request, fuse_ino_t parent, const char* name) {
    fs(request).lookup(request, parent, name);
  };
  ops.forget = [](fuse_req_t request, fuse_ino_t node, uint64_t count) {
    fs(request).forget(node, count);
    fuse_reply_none(request);
  };
  ops.forget_multi = [](fuse_req_t request, size_t count, fuse_forget_data* nodes) {
    for (size_t i = 0; i < count; ++i) fs(request).forget(nodes[i].ino, nodes[i].nlookup);
    fuse_reply_none(request);
  };
  ops.getattr = [](fuse_req_t request, fuse_ino_t node, fuse_file_info*) {
    fs(request).getattr(request, node);
  };
  ops.readlink = [](fuse_req_t request, fuse_ino_t node) { fs(request).readlink(request, node); };
  ops.open = [](fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
    fs(request).open(request, node, *file);
  };
  ops.read = [](fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info* file) {
    fs(request).read(request, size, offset, *file);
  };
  ops.lseek = [](fuse_req_t request, fuse_ino_t, off_t offset, int whence, fuse_file_info* file) {
    fs(request).lseek(request, offset, whence, *file);
  };
  ops.release = ops.releasedir = [](fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
    fs(request).release(request, *file);
  };
  ops.opendir = [](fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
    fs(request).opendir(request, node, *file);
  };
  ops.readdir = [](fuse_req_t request, fuse_ino_t, size_t size, off_t offset,
                   fuse_file_info* file) { fs(request).readdir(request, size, offset, *file); };
  ops.statfs = [](fuse_req_t request, fuse_ino_t) { fs(request).statfs(request); };
  ops.getxattr = [](fuse_req_t request, fuse_ino_t node, const char* name, size_t size) {
    fs(request).getxattr(request, node, name, size);
  };
  ops.listxattr = [](fuse_req_t request, fuse_ino_t node, size_t size) {
    fs(request).listxattr(request, node, size);
  };

  ops.setattr = refuse;
  ops.mknod = refuse;
  ops.mkdir = refuse;
  ops.unlink = refuse;
  ops.rmdir = refuse;
  ops.symlink = refuse;
  ops.rename = refuse;
  ops.link = refuse;
  ops.create = refuse;
  ops.write = refuse;
  ops.fallocate = refuse;
  ops.setxattr = refuse;
  ops.removexattr = refuse;
  return ops;
}

}  // namespace imgcachefs
