// A mount as a hypervisor has it: a storage pool of a real libvirt on it, and guests that a real
// qemu boots from overlays whose backing files are images of the mount.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <sstream>

#include "real/boot_disk.h"
#include "real/libvirt_daemon.h"
#include "support/checksum.h"
#include "support/mounted.h"
#include "support/nginx.h"

namespace imgcachefs::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr uint64_t kChunk = 64 << 10;
constexpr uint64_t kDiskSize = 8 << 20;
constexpr uint64_t kPlace = 5 << 20;  // of the message, far from what a look at the header fetches

uint64_t number_in(const std::string& text, const std::string& element) {
  const size_t at = text.find("<" + element);
  if (at == std::string::npos) throw std::runtime_error("no " + element + " in " + text);
  return std::stoull(text.substr(text.find('>', at) + 1));
}

class Libvirt : public testing::Test {
 protected:
  Libvirt()
      : message_(fmt::format("read by the guest of process {}", ::getpid())),
        disk_(boot_disk(kDiskSize, kPlace, message_)) {
    // Who runs the guests has to get at their disks.
    fs::permissions(overlays_.path(), fs::perms(0711));
  }

  // The boot disk, as upstream has it.
  void publish(const std::string& name, const std::string& format) {
    const std::string raw = raw_.write("disk", disk_);
    const CommandResult made =
        run({"qemu-img", "convert", "-f", "raw", "-O", format, raw, images_.file(name)});
    ASSERT_TRUE(made.ok()) << made.describe();
  }
  void mount(std::vector<std::string> options) {
    publish_checksums(images_.path());
    nginx_.emplace(images_.path(), NginxOptions{.autoindex = "json"});
    mount_.emplace(MountSpec{.source = nginx_->url(), .options = std::move(options)});
    fs::permissions(fs::path(mount_->path()).parent_path(), fs::perms(0711));
    libvirt_.emplace();
  }
  void start_pool(const std::string& name, const std::string& target) {
    const CommandResult defined = libvirt_->virsh_with(
        "pool-define",
        fmt::format("<pool type='dir'><name>{}</name><target><path>{}</path></target></pool>", name,
                    target));
    ASSERT_TRUE(defined.ok()) << defined.describe();
    const CommandResult started = libvirt_->virsh({"pool-start", name});
    ASSERT_TRUE(started.ok()) << started.describe() << libvirt_->log();
  }
  // In the pool "overlays"; the image need not be in a pool.
  void make_overlay(const std::string& name, const std::string& backing) {
    const std::string file =
        raw_.write("volume.xml", fmt::format(R"(<volume>
  <name>{}</name><capacity>{}</capacity><target><format type='qcow2'/></target>
  <backingStore><path>{}</path><format type='qcow2'/></backingStore>
</volume>)",
                                             name, kDiskSize, mount_->path(backing)));
    const CommandResult made = libvirt_->virsh({"vol-create", "overlays", file});
    ASSERT_TRUE(made.ok()) << made.describe() << libvirt_->log();
  }

  std::string console(const std::string& guest) const {
    return read_file(overlays_.file(guest + ".console"));
  }
  // `driver`: attributes of the disk's <driver>.
  CommandResult start_guest(const std::string& name, const std::string& driver) {
    const CommandResult defined =
        libvirt_->virsh_with("define", fmt::format(R"(<domain type='qemu'>
  <name>{0}</name>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' {1}/>
      <source file='{2}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <serial type='file'><source path='{2}.console'/></serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>)",
                                                   name, driver, overlays_.file(name)));
    if (!defined.ok()) return defined;
    return libvirt_->virsh({"start", name});
  }
  bool says_its_message(const std::string& guest) const {
    return wait_until([&] { return console(guest).find(message_) != std::string::npos; });
  }
  std::string described(const std::string& guest) const {
    return guest + " says: " + console(guest) + "\n" + libvirt_->log_of(guest) + mount_->log();
  }

  std::vector<std::string> names_in_pool(const std::string& pool) const {
    std::istringstream lines(libvirt_->virsh({"vol-list", pool}).out);
    std::vector<std::string> names;
    for (std::string line; std::getline(lines, line);)
      if (std::istringstream words(line); words >> line) names.push_back(line);
    return names;
  }

  const std::string message_, disk_;
  TempDir raw_, images_, overlays_;
  std::optional<Nginx> nginx_;
  std::optional<Mounted> mount_;
  std::optional<LibvirtDaemon> libvirt_;
};

// SEMANTICS: Refreshing a libvirt pool on the mount fetches the header of a listed image once, and
// of a cached one nothing.
TEST_F(Libvirt, RefreshingAPoolFetchesNoImage) {
  for (int i = 0; i < 5; ++i) publish(fmt::format("image-{}.qcow2", i), "qcow2");
  publish("image.raw", "raw");
  mount({"list=all", "max_size=1G"});
  start_pool("images", mount_->path());

  std::vector<std::string> expected = {"SHA256SUMS", "image.raw"};
  for (int i = 0; i < 5; ++i) expected.push_back(fmt::format("image-{}.qcow2", i));
  EXPECT_THAT(names_in_pool("images"), testing::UnorderedElementsAreArray(expected));
  // It has read their headers: the size of the disk, not of the file.
  EXPECT_EQ(number_in(libvirt_->virsh({"vol-dumpxml", "image-0.qcow2", "images"}).out, "capacity"),
            kDiskSize);
  EXPECT_EQ(number_in(libvirt_->virsh({"pool-dumpxml", "images"}).out, "capacity"), 1u << 30);

  const auto fetched = [&] {
    uint64_t bytes = 0;
    for (const std::string& name : expected)
      bytes += std::stoull(mount_->xattr(name, "cached_bytes").value());
    return bytes;
  };
  const uint64_t headers = fetched();
  for (int i = 0; i < 3; ++i) {
    const CommandResult refreshed = libvirt_->virsh({"pool-refresh", "images"});
    EXPECT_TRUE(refreshed.ok()) << refreshed.describe();
  }
  EXPECT_TRUE(wait_until([&] { return mount_->status()["fills"].empty(); }));
  EXPECT_EQ(fetched(), headers);
  for (const std::string& name : expected) {
    if (name == "SHA256SUMS") continue;  // not longer than a header
    EXPECT_EQ(mount_->xattr(name, "state"), "incomplete") << name;
  }
  libvirt_.reset();
  mount_->unmount();
  nginx_->stop();
  for (const std::string& name : expected)
    EXPECT_LE(nginx_->sent_bytes("/" + name), 4 * kChunk) << name;
}

TEST_F(Libvirt, RefreshingAPoolOfCachedImagesAsksUpstreamNothing) {
  publish("cached.qcow2", "qcow2");
  publish("other.qcow2", "qcow2");
  mount({"list=cached"});
  mount_->read_all("cached.qcow2");
  ASSERT_TRUE(mount_->wait_state("cached.qcow2", "cached"));
  const size_t before = nginx_->requests().size();
  start_pool("images", mount_->path());
  EXPECT_TRUE(libvirt_->virsh({"pool-refresh", "images"}).ok());
  EXPECT_THAT(names_in_pool("images"), testing::ElementsAre("cached.qcow2"));
  EXPECT_EQ(nginx_->requests().size(), before);
}

TEST_F(Libvirt, APoolOnTheMountIsReadOnly) {
  publish("image.qcow2", "qcow2");
  mount({"list=all"});
  start_pool("images", mount_->path());
  const CommandResult removed = libvirt_->virsh({"vol-delete", "image.qcow2", "images"});
  EXPECT_FALSE(removed.ok());
  EXPECT_THAT(removed.err, HasSubstr("Read-only file system"));
  const CommandResult made = libvirt_->virsh({"vol-create-as", "images", "new", "1M"});
  EXPECT_FALSE(made.ok());
  EXPECT_THAT(made.err, HasSubstr("Read-only file system"));
}

// Every way in which a guest's disk is opened: past the page cache, and not.
TEST_F(Libvirt, GuestsBootFromOverlaysOfImagesThatAreNotThereYet) {
  const std::vector<std::pair<std::string, std::string>> guests = {
      {"direct", "cache='none' io='native'"},
      {"buffered", "cache='writeback' io='threads'"},
  };
  for (const auto& [name, driver] : guests) publish(name + ".img", "qcow2");
  mount({"allow_other"});
  start_pool("overlays", overlays_.path());
  for (const auto& [name, driver] : guests) {
    make_overlay(name, name + ".img");
    EXPECT_EQ(mount_->xattr(name + ".img", "state"), "incomplete");
    const CommandResult started = start_guest(name, driver);
    ASSERT_TRUE(started.ok()) << started.describe() << libvirt_->log_of(name);
  }
  for (const auto& [name, driver] : guests) {
    EXPECT_TRUE(says_its_message(name)) << described(name);
    // libvirt gives the guest's user what the guest writes to, and cannot give it the image.
    struct stat overlay {
    }, image{};
    ASSERT_EQ(::stat(overlays_.file(name).c_str(), &overlay), 0);
    ASSERT_EQ(::stat(mount_->path(name + ".img").c_str(), &image), 0);
    EXPECT_EQ(overlay.st_uid, LibvirtDaemon::kGuestUser);
    EXPECT_EQ(image.st_uid, ::getuid());
    // What the guest wrote is in the overlay.
    EXPECT_TRUE(libvirt_->virsh({"destroy", name}).ok());
    const CommandResult written =
        run({"qemu-img", "dd", "-f", "qcow2", "-O", "raw", "bs=512", "skip=1", "count=2",
             "if=" + overlays_.file(name), "of=" + raw_.file("second")});
    EXPECT_TRUE(written.ok()) << written.describe();
    EXPECT_THAT(read_file(raw_.file("second")), testing::StartsWith(message_));
  }
  // And not in the image.
  for (const auto& [name, driver] : guests)
    EXPECT_EQ(mount_->read_all(name + ".img"), read_file(images_.file(name + ".img"))) << name;
}

TEST_F(Libvirt, GuestsShareAnImageAndCannotWriteToIt) {
  publish("image.raw", "raw");
  mount({"allow_other", "list=all", "fill=demand"});
  start_pool("images", mount_->path());
  start_pool("overlays", overlays_.path());
  for (const char* name : {"one", "two"}) {
    const CommandResult made = libvirt_->virsh(
        {"vol-create-as", "overlays", name, std::to_string(kDiskSize), "--format", "qcow2",
         "--backing-vol", mount_->path("image.raw"), "--backing-vol-format", "raw"});
    ASSERT_TRUE(made.ok()) << made.describe() << libvirt_->log();
    const CommandResult started = start_guest(name, "cache='none'");
    ASSERT_TRUE(started.ok()) << started.describe() << libvirt_->log_of(name);
  }
  for (const char* name : {"one", "two"}) EXPECT_TRUE(says_its_message(name)) << described(name);

  const CommandResult committed =
      libvirt_->virsh({"blockcommit", "one", "vda", "--active", "--wait", "--pivot"});
  EXPECT_FALSE(committed.ok());
  EXPECT_THAT(committed.err, HasSubstr("Read-only file system"));
  EXPECT_THAT(libvirt_->virsh({"domstate", "one"}).out, HasSubstr("running"));
  const CommandResult snapshot =
      libvirt_->virsh({"snapshot-create-as", "one", "later", "--disk-only", "--no-metadata",
                       "--diskspec", "vda,file=" + overlays_.file("later")});
  EXPECT_TRUE(snapshot.ok()) << snapshot.describe();
  EXPECT_EQ(mount_->read("image.raw", kSectorSize, kSectorSize),
            disk_.substr(kSectorSize, kSectorSize));
}

TEST_F(Libvirt, WithoutAllowOtherNoGuestStarts) {
  publish("image.qcow2", "qcow2");
  mount({});
  start_pool("overlays", overlays_.path());
  make_overlay("guest", "image.qcow2");
  const CommandResult started = start_guest("guest", "cache='none'");
  EXPECT_FALSE(started.ok());
  EXPECT_THAT(started.err,
              AllOf(HasSubstr(mount_->path("image.qcow2")), HasSubstr("Permission denied")));
}

}  // namespace
}  // namespace imgcachefs::test
