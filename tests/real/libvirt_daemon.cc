#include "real/libvirt_daemon.h"

#include <signal.h>

#include <filesystem>
#include <sstream>

#include "real/template_dir.h"

namespace imgcachefs::test {
namespace {

namespace fs = std::filesystem;

// No polkit, no log daemon and no cgroups: there is no systemd here. A guest's user is the only
// thing that keeps it from what it may not have, as where no AppArmor and no SELinux is.
constexpr const char* kDaemonConfig = R"(auth_unix_ro = "none"
auth_unix_rw = "none"
)";
constexpr const char* kQemuConfig = R"(dynamic_ownership = 1
security_driver = "none"
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
)";

// Debian's libvirtd is built for guests of the user libvirt-qemu, and does not start where there is
// none: it is made by another package, which wants systemd and more.
//
// KVM is hidden: guests are emulated here, and a /dev/kvm that libvirt may open and their user may
// not has it ask qemu anew, for half a second, at every turn.
//
// The first process there has to bury what libvirtd leaves behind: a guest that has ended and has
// not been waited for counts as running. A shell does that.
constexpr const char* kStart = R"(set -e
for place in etc/libvirt var/lib/libvirt var/log/libvirt run/libvirt; do
  mkdir -p "/$place"
  mount --bind "$1/$place" "/$place"
done
mkdir -p /var/cache/libvirt
mount --bind "$3" /var/cache/libvirt
for table in passwd group; do
  grep -v "^libvirt-qemu:" "/etc/$table" >"$1/$table"
done
echo "libvirt-qemu:x:$2:$2::/:/usr/sbin/nologin" >>"$1/passwd"
echo "libvirt-qemu:x:$2:" >>"$1/group"
for table in passwd group; do
  mount --bind "$1/$table" "/etc/$table"
done
if [ -e /dev/kvm ]; then
  touch "$1/kvm"
  chmod 0 "$1/kvm"
  mount --bind "$1/kvm" /dev/kvm
fi
libvirtd --config "$1/etc/libvirt/libvirtd.conf" --pid-file "$1/pid" &
wait
)";

}  // namespace

LibvirtDaemon::LibvirtDaemon() {
  // The guests' user goes through it.
  fs::permissions(dir_.path(), fs::perms(0711));
  for (const char* place :
       {"etc/libvirt/qemu", "var/lib/libvirt", "var/log/libvirt", "run/libvirt"})
    fs::create_directories(dir_.path() / place);
  dir_.write("etc/libvirt/libvirtd.conf", kDaemonConfig);
  dir_.write("etc/libvirt/qemu.conf", kQemuConfig);
  // What qemu can it asks for seconds, and keeps: begun empty, filled by the first of them.
  const fs::path learnt = template_dir({.package = "qemu-system-x86",
                                        .recipe = "what libvirt caches",
                                        .make = [](const fs::path&) {}});
  server_.start({.argv = {"unshare", "--mount", "--propagation", "slave", "--pid", "--fork",
                          "--mount-proc", "--kill-child", "bash", "-c", kStart, "libvirt",
                          dir_.path().string(), std::to_string(kGuestUser), learnt.string()},
                 .env = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"}},
                 .log = dir_.file("libvirtd.log"),
                 .ready = [this] { return virsh({"version"}).ok(); }});
}

LibvirtDaemon::~LibvirtDaemon() {
  // unshare(1) does not listen to SIGTERM; when the first process of its kind ends, all end.
  const std::string pid = std::to_string(server_.pid());
  std::istringstream children(read_file("/proc/" + pid + "/task/" + pid + "/children"));
  for (pid_t child; children >> child;) ::kill(child, SIGKILL);
}

CommandResult LibvirtDaemon::virsh(std::vector<std::string> arguments) const {
  const std::string socket = dir_.file("run/libvirt/libvirt-sock");
  arguments.insert(arguments.begin(),
                   {"virsh", "-q", "-c", "qemu+unix:///system?socket=" + socket});
  return run(arguments, {.env = {{"LC_ALL", "C"}}, .directory = {}});
}

CommandResult LibvirtDaemon::virsh_with(const std::string& verb, const std::string& xml) const {
  return virsh({verb, dir_.write(verb + ".xml", xml)});
}

std::string LibvirtDaemon::log_of(const std::string& guest) const {
  return read_file(dir_.file("var/log/libvirt/qemu/" + guest + ".log"));
}

}  // namespace imgcachefs::test
