// libfuse's table of operations, each handed to the ImageFs that is the session's user data.
#pragma once

#include "fs/image_fs.h"

namespace imgcachefs {

fuse_lowlevel_ops fuse_operations();

}  // namespace imgcachefs
