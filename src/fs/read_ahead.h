// How far the kernel reads ahead of a sequential reader.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace imgcachefs {

// The kernel's window starts small, grows while a reader goes on and falls back when he jumps; this
// is how large it may get, in bytes, for the mount at `mountpoint` of this device. A FUSE mount
// begins with 128 KiB and can only take less in its answer to FUSE_INIT, so this is written to its
// /sys/class/bdi/<device>/read_ahead_kb afterwards: asks the mount something first, as the answer
// to FUSE_INIT would set it again, so others must be answering requests. Only root may; without it
// things are slower and nothing else, so there is no error.
void set_read_ahead(const std::string& mountpoint, dev_t device, uint64_t bytes);

}  // namespace imgcachefs
