// The daemon: puts upstream, store and mount together and runs until it is unmounted.
#pragma once

#include "base/result.h"
#include "fs/mount_options.h"
#include "fs/reload.h"

namespace imgcachefs {

// mount(8)'s exit codes.
constexpr int kExitOk = 0;
constexpr int kExitUsage = 1;
constexpr int kExitMountFailed = 32;

// Whether a mount could be begun with them: their files are there and can be read. Changes nothing,
// asks nobody.
Status check_options(const MountOptions& options);

// In the foreground: until the end of the mount. In the background: until the mount answers, from a
// process of its own, which was started before there was any thread. What went wrong is said on
// stderr. `reread`: for SIGHUP.
int mount_and_serve(const MountOptions& options, const RereadOptions& reread);

}  // namespace imgcachefs
