#include "fs/answers.h"

namespace imgcachefs {

// The stacking depth it asks for by default is the one we want: the cache lies on no stacked file
// system, and one may be stacked on us.
void ask_for_passthrough(fuse_conn_info& connection, BackingFiles& files) {
  if (files.accept((connection.capable & FUSE_CAP_PASSTHROUGH) != 0))
    connection.want |= FUSE_CAP_PASSTHROUGH;
}

Status amend_init_reply(fuse_session*) {
  return {};
}

int reply_opened(fuse_req_t request, const fuse_file_info& file, int backing_id) {
  if (backing_id == 0) return fuse_reply_open(request, &file);
  fuse_file_info passed = file;
  passed.backing_id = backing_id;
  passed.keep_cache = 0;  // the kernel refuses the two together
  return fuse_reply_open(request, &passed);
}

}  // namespace imgcachefs
