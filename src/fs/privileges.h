// What the daemon may do: as root, no more than it needs.
#pragma once

#include "base/result.h"

namespace imgcachefs {

// Gives up all capabilities but
//     CAP_SYS_ADMIN      mount, umount, files given to the kernel (passthrough), a view of the
//     cache
//                        that keeps no access times
//     CAP_DAC_OVERRIDE   a cache directory that Glance's user fills too; a guest's read-ahead
//     CAP_FOWNER         the same: times and attributes of files that are not ours
//     CAP_CHOWN          the same: SQLite gives the journal of a database to its owner, who
//                        could not take it back after a crash else
// for this process and all it will start, which can get no others either (no_new_privs). Only root
// has any; who is not root keeps what there is, as unmounting takes the setuid fusermount3. To be
// called before any thread is started. An error says what could not be given up: the rest was.
Status drop_privileges();

}  // namespace imgcachefs
