#include "fs/open_reply.h"

#include "fs/passthrough_abi.h"

namespace imgcachefs {

int reply_opened(fuse_req_t request, const fuse_file_info& file, int backing_id) {
  if (backing_id == 0) return fuse_reply_open(request, &file);
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
  fuse_file_info passed = file;
  passed.backing_id = backing_id;
  passed.keep_cache = 0;  // the kernel refuses the two together
  return fuse_reply_open(request, &passed);
#else
  // It is answered as a buffer is: with these bytes.
  const passthrough_abi::OpenOut out{file.fh, passthrough_abi::kOpenPassthrough, backing_id};
  return fuse_reply_buf(request, reinterpret_cast<const char*>(&out), sizeof out);
#endif
}

}  // namespace imgcachefs
