// The real libvirtd with its driver for qemu, for the life of the object: as root has it, with
// guests that run as another user, and with nothing of the machine's own libvirt.
//
//     LibvirtDaemon libvirt;
//     libvirt.virsh({"pool-define", file});
//
// It lives in mounts and processes of its own, where /etc/libvirt, /var/lib/libvirt and the like
// are directories of the test's; whatever it has started dies with it. What is mounted when it
// starts it sees, and it keeps it mounted for itself: make it after the mount and let it go before.
// Needs root. Throws std::runtime_error, with its log, when it does not come up; a start takes
// a second.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "support/child_server.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

class LibvirtDaemon {
 public:
  // Of the guests: a user who owns nothing and is in no group.
  static constexpr uid_t kGuestUser = 64055;

  LibvirtDaemon();
  ~LibvirtDaemon();
  LibvirtDaemon(const LibvirtDaemon&) = delete;
  LibvirtDaemon& operator=(const LibvirtDaemon&) = delete;

  // virsh(1), connected to it as root.
  CommandResult virsh(std::vector<std::string> arguments) const;
  // What virsh is given by XML, as `define` and `pool-define`.
  CommandResult virsh_with(const std::string& verb, const std::string& xml) const;

  std::string log() const { return read_file(dir_.file("libvirtd.log")); }
  // What qemu said of a guest.
  std::string log_of(const std::string& guest) const;

 private:
  TempDir dir_;
  ChildServer server_;
};

}  // namespace imgcachefs::test
