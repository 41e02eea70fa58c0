// What libfuse leaves out of the answer to FUSE_INIT, and how passthrough is agreed upon there.
//
// FUSE_CAP_PARALLEL_DIROPS lets the kernel send look-ups and listings of one directory side by
// side, but libfuse before 3.17 never told the kernel (libfuse pull request 861), and then one
// look-up that waits for a silent upstream stops every other and `ls` too. Nor does it know
// FUSE_PASSTHROUGH. So with those versions the answer is amended on its way out.
#pragma once

#include "base/result.h"
#include "fs/backing_files.h"
#include "fs/fuse.h"

namespace imgcachefs {

// While libfuse makes its answer: asks for passthrough where libfuse knows the word.
void ask_for_passthrough(fuse_conn_info& connection, BackingFiles& files);

// Does the rest, of a session whose user data is an ImageFs. After fuse_session_mount(), before the
// loop.
Status amend_init_reply(fuse_session* session);

}  // namespace imgcachefs
