// The kernel's words for passthrough, which <linux/fuse.h> has since Linux 6.9 and Debian 12's has
// not. The numbers are the kernel's for ever (include/uapi/linux/fuse.h, protocol 7.40).
#pragma once

#include <linux/fuse.h>
#include <sys/ioctl.h>

#include <cstddef>
#include <cstdint>

namespace imgcachefs::passthrough_abi {

// FUSE_INIT has 64 flags: those above the 31st are in `flags2`, which FUSE_INIT_EXT speaks of.
constexpr uint64_t kInitExtended = uint64_t{1} << 30;
constexpr uint64_t kInitPassthrough = uint64_t{1} << 37;
// How many file systems may be stacked, ours included: backing files lie on none that is. 32 bits.
constexpr uint32_t kStackDepth = 1;
constexpr size_t kStackDepthAt = offsetof(fuse_init_out, flags2) + sizeof(uint32_t);
static_assert(kStackDepthAt + sizeof kStackDepth <= sizeof(fuse_init_out));

// The answer to FUSE_OPEN, of which libfuse before 3.17 knows the first two.
constexpr uint32_t kOpenPassthrough = 1 << 7;
struct OpenOut {
  uint64_t handle;
  uint32_t flags;
  int32_t backing_id;
};
static_assert(sizeof(OpenOut) == sizeof(fuse_open_out));

struct BackingMap {
  int32_t fd;
  uint32_t flags;
  uint64_t padding;
};
static_assert(sizeof(BackingMap) == 16);
constexpr unsigned long kBackingOpen = _IOW(229, 1, BackingMap);
constexpr unsigned long kBackingClose = _IOW(229, 2, uint32_t);

}  // namespace imgcachefs::passthrough_abi
