// mount(8) and fstab: `mount -t imgcachefs` by our helper, `fuse.imgcachefs` by libfuse's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "support/mounted.h"
#include "support/nginx.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A shell in mounts of its own, where /sbin has only the helpers: mount(8) looks for them there and
// nowhere else, and this machine's /sbin is not ours to write to. They are started without a PATH,
// so imgcachefs has to be where one that is installed would be.
class MountHelper : public testing::Test {
 protected:
  void SetUp() override {
    images_.write("image", "bytes of an image");
    fs::create_directories(sbin_.path() / "sbin");
    fs::create_directories(sbin_.path() / "mnt");
    fs::copy_file(built("mount.imgcachefs"), sbin_.path() / "sbin/mount.imgcachefs");
    fs::copy_file("/sbin/mount.fuse3", sbin_.path() / "sbin/mount.fuse");  // for fuse.ANYTHING
    nginx_.emplace(images_.path());
  }
  std::string mnt() const { return sbin_.path() / "mnt"; }
  std::string cache() const { return sbin_.path() / "cache"; }

  CommandResult in_shell(const std::string& script) {
    const std::string bin = fs::path(built("imgcachefs")).parent_path().string();
    const std::string prologue = "mount --bind " + bin + " /usr/local/bin\nmount --bind " +
                                 sbin_.file("sbin") + " \"$(readlink -f /sbin)\"\n";
    return run({"unshare", "-m", "--propagation", "private", "sh", "-c", prologue + script},
               {.env = {}, .directory = "/"});
  }
  std::string fstab(const std::string& type, const std::string& options) {
    return sbin_.write("fstab",
                       nginx_->url() + " " + mnt() + " " + type + " " + options + " 0 0\n");
  }

  TempDir images_, sbin_;
  std::optional<Nginx> nginx_;
};

class MountType : public MountHelper, public testing::WithParamInterface<const char*> {};

// SEMANTICS: A line of fstab with the type `imgcachefs` or `fuse.imgcachefs` mounts; `umount` ends
// it.
TEST_P(MountType, MountsALineOfFstabAndIsUnmounted) {
  const std::string table = fstab(
      GetParam(),
      "rw,noauto,nofail,noatime,_netdev,x-systemd.automount,max_size=1G,cache_dir=" + cache());
  const CommandResult result =
      in_shell("set -e\nmount -T " + table + " " + mnt() + "\nfindmnt -n -o FSTYPE,OPTIONS " +
               mnt() + "\ncat " + mnt() + "/image\necho\numount " + mnt() + "\nfindmnt " + mnt() +
               " || echo gone\n");
  EXPECT_EQ(result.exit_code, 0) << result.describe();
  EXPECT_THAT(result.out, HasSubstr("fuse.imgcachefs"));
  EXPECT_THAT(result.out, HasSubstr("ro,nosuid,nodev"));
  EXPECT_THAT(result.out, HasSubstr("bytes of an image\n"));
  EXPECT_THAT(result.out, HasSubstr("gone"));
}

INSTANTIATE_TEST_SUITE_P(Both, MountType, testing::Values("imgcachefs", "fuse.imgcachefs"),
                         [](const auto& info) {
                           return std::string(info.param).starts_with("fuse") ? "OfLibfuse"
                                                                              : "Ours";
                         });

TEST_F(MountHelper, TakesACommaOfAValueFromFstab) {
  const std::string table = fstab("imgcachefs", R"(noauto,cache_dir=)" + cache() + R"(\,1,uid=7)");
  const CommandResult result = in_shell("set -e\nmount -T " + table + " " + mnt() +
                                        "\nstat -c %u " + mnt() + "/image\numount " + mnt() + "\n");
  EXPECT_EQ(result.exit_code, 0) << result.describe();
  EXPECT_EQ(result.out, "7\n");
  EXPECT_TRUE(fs::exists(cache() + ",1/cache.db"));
}

TEST_F(MountHelper, SaysWhatIsWrongWithMountsExitCodes) {
  const std::string mount = "mount -t imgcachefs " + nginx_->url() + " ";
  const CommandResult unknown = in_shell(mount + mnt() + " -o no_such=1");
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("no_such"));
  const CommandResult nowhere = in_shell(mount + mnt() + "/nowhere -o cache_dir=" + cache());
  EXPECT_EQ(nowhere.exit_code, 32) << nowhere.describe();
}

TEST_F(MountHelper, FakesAMount) {
  const std::string mount =
      "mount -f -t imgcachefs " + nginx_->url() + " " + mnt() + " -o cache_dir=";
  const CommandResult result = in_shell(mount + cache() + "\nfindmnt " + mnt() + " || echo none");
  EXPECT_EQ(result.out, "none\n") << result.describe();
  EXPECT_FALSE(fs::exists(cache()));
}

TEST_F(MountHelper, RefusesWhatMountDoesNotSay) {
  for (const char* arguments : {"", "one", "one two three", "one two -x"}) {
    const CommandResult result = in_shell("mount.imgcachefs " + std::string(arguments));
    EXPECT_EQ(result.exit_code, 1) << arguments;
    EXPECT_THAT(result.err, HasSubstr("usage: mount.imgcachefs")) << arguments;
  }
}

}  // namespace
}  // namespace imgcachefs::test
