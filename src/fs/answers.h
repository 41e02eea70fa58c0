// Our answers to FUSE_INIT and FUSE_OPEN, where libfuse's versions differ: passthrough, and
// look-ups side by side.
//
// libfuse knows passthrough since 3.17 (libfuse_3_17/). Before, its answers are amended on their
// way out (libfuse_3_14/); so is what FUSE_CAP_PARALLEL_DIROPS asks for, which lets the kernel send
// look-ups and listings of one directory side by side: libfuse before 3.17 never told the kernel
// (libfuse pull request 861), and then one look-up that waits for a silent upstream stops every
// other and `ls` too. Which of the two is compiled is decided in src/CMakeLists.txt.
#pragma once

#include "base/result.h"
#include "fs/backing_files.h"
#include "fs/fuse.h"

namespace imgcachefs {

// While libfuse makes its answer to FUSE_INIT: asks for passthrough where libfuse knows the word.
void ask_for_passthrough(fuse_conn_info& connection, BackingFiles& files);

// Does the rest, of a session whose user data is an ImageFs. After fuse_session_mount(), before the
// loop.
Status amend_init_reply(fuse_session* session);

// fuse_reply_open(); in passthrough when `backing_id` is not 0. Below 0 when the kernel did not
// take the answer: then there will be no release.
int reply_opened(fuse_req_t request, const fuse_file_info& file, int backing_id);

}  // namespace imgcachefs
