#include "fs/mount_table.h"

#include <gtest/gtest.h>
#include <sys/sysmacros.h>

namespace imgcachefs {
namespace {

constexpr const char* kMountinfo =
    "22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
    "30 22 0:39 / /mnt/a\\040b ro,nosuid - fuse.imgcachefs http://h/x\\134y/ ro,user_id=0\n"
    "31 22 0:40 / /mnt/two ro shared:2 master:1 - fuse.imgcachefs http://old/ ro\n"
    "32 31 0:41 / /mnt/two rw - tmpfs tmpfs rw\n";

TEST(FindMount, ReadsBlanksOptionalFieldsAndTheDevice) {
  auto mount = find_mount(kMountinfo, "/mnt/a b");
  ASSERT_TRUE(mount);
  EXPECT_EQ(mount->type, "fuse.imgcachefs");
  EXPECT_EQ(mount->source, "http://h/x\\y/");
  EXPECT_EQ(mount->device, makedev(0, 39));
}

TEST(FindMount, GivesTheTopOneOfSeveral) {
  EXPECT_EQ(find_mount(kMountinfo, "/mnt/two")->type, "tmpfs");
}

TEST(FindMount, GivesNothingWhereNothingIsMounted) {
  EXPECT_FALSE(find_mount(kMountinfo, "/mnt"));
}

TEST(PrepareMountPoint, RefusesWhatCannotBeMountedOn) {
  const std::string here = testing::TempDir();
  EXPECT_EQ(prepare_mount_point("/no/such", "/c", "").error().kind, ErrorKind::kNotFound);
  EXPECT_FALSE(prepare_mount_point("/proc/self/maps", "/c", ""));
  const std::string tmp = "/tmp";
  EXPECT_FALSE(prepare_mount_point(tmp, tmp, ""));
  EXPECT_FALSE(prepare_mount_point(tmp, tmp + "/no/such/cache", ""));
  EXPECT_FALSE(prepare_mount_point(tmp, "/", ""));
  EXPECT_FALSE(prepare_mount_point(tmp, "/var/cache", tmp + "/log"));
  EXPECT_TRUE(prepare_mount_point(tmp, "/tmpcache", "/tmplog"));
}

}  // namespace
}  // namespace imgcachefs
