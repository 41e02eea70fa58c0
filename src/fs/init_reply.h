// What libfuse leaves out of the answer to FUSE_INIT.
#pragma once

#include "base/result.h"
#include "fs/fuse.h"

namespace imgcachefs {

// Lets the kernel send look-ups and listings of one directory side by side.
// FUSE_CAP_PARALLEL_DIROPS is meant to do that, but libfuse before 3.17 never told the kernel
// (libfuse pull request 861), and then one look-up that waits for a silent upstream stops every
// other and `ls` too. After fuse_session_mount(), before the loop.
Status allow_parallel_lookups(fuse_session* session);

}  // namespace imgcachefs
