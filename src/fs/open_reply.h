// The answer to FUSE_OPEN.
#pragma once

#include "fs/fuse.h"

namespace imgcachefs {

// fuse_reply_open(); in passthrough when `backing_id` is not 0. Below 0 when the kernel did not
// take the answer: then there will be no release.
int reply_opened(fuse_req_t request, const fuse_file_info& file, int backing_id);

}  // namespace imgcachefs
