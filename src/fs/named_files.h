// What the options of a mount name and its upstream needs: credentials=FILE, cloud=NAME, docker's
// config.
#pragma once

#include "base/result.h"
#include "fs/mount_options.h"

namespace imgcachefs {

// Reads it into `options.upstream`. kInvalid, naming the option or the file: it cannot be used.
// Whether all of it goes together is for open_upstream() to say.
Status load_named_files(MountOptions& options);

}  // namespace imgcachefs
