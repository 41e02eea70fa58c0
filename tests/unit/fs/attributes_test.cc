#include "fs/attributes.h"

#include <gtest/gtest.h>

#include <set>

#include "fake_image.h"
#include "fs/xattrs.h"

namespace imgcachefs {
namespace {

TEST(ImageAttributes, AreSizeBlocksTimesAndOwner) {
  FakeImage image("cirros");
  image.attributes = {10'000'000, 513, from_unix(1000.5), from_unix(900)};
  struct stat st = image_attributes(image, {7, 8, 0440});
  EXPECT_EQ(st.st_mode, S_IFREG | 0440u);
  EXPECT_EQ(st.st_size, 10'000'000);
  EXPECT_EQ(st.st_blocks, 2);  // rounded up
  EXPECT_EQ(st.st_uid, 7u);
  EXPECT_EQ(st.st_gid, 8u);
  EXPECT_EQ(st.st_nlink, 1u);
  EXPECT_EQ(st.st_atim.tv_sec, 1000);
  EXPECT_EQ(st.st_atim.tv_nsec, 500'000'000);
  EXPECT_EQ(st.st_mtim.tv_sec, 900);
  EXPECT_EQ(st.st_ctim.tv_sec, 900);
}

TEST(ImageAttributes, OfAllVersionsHaveOneInodeNumber) {
  FakeImage old("cirros", 1), now("cirros", 2), other("cirros2", 3);
  EXPECT_EQ(image_attributes(old, {}).st_ino, image_attributes(now, {}).st_ino);
  EXPECT_NE(image_attributes(old, {}).st_ino, image_attributes(other, {}).st_ino);
  // Kept by those who back up by inode number: it must not change with a release.
  EXPECT_EQ(inode_number(old.id()), 13831447876339034427u);
}

TEST(DirectoryAttributes, MayBeSearchedByWhoMayRead) {
  EXPECT_EQ(directory_attributes(1, {0, 0, 0444}, {}).st_mode, S_IFDIR | 0555u);
  EXPECT_EQ(directory_attributes(1, {0, 0, 0400}, {}).st_mode, S_IFDIR | 0500u);
}

TEST(FileSystemAttributes, AreTheCachesLimitAndUse) {
  struct statvfs st = file_system_attributes({10 << 20, 3 << 20, 5});
  EXPECT_EQ(st.f_frsize, 4096u);
  EXPECT_EQ(st.f_blocks, (10u << 20) / 4096);
  EXPECT_EQ(st.f_bfree, (7u << 20) / 4096);
  EXPECT_EQ(st.f_bavail, st.f_bfree);
  EXPECT_EQ(st.f_files, 5u);
  EXPECT_EQ(st.f_namemax, 255u);
  EXPECT_EQ(file_system_attributes({1 << 20, 2 << 20, 0}).f_bfree, 0u);  // above the limit
}

TEST(ImageXattrs, AreThoseOfTheContract) {
  ImageDetails details;
  details.state = ImageState::kIncomplete;
  details.cached_bytes = 65536;
  details.hits = 3;
  details.last_accessed = from_unix(1795159647);
  details.checksum = Digest::parse(DigestAlgo::kMd5, std::string(32, 'a')).value();
  details.verified = true;
  details.error = "wrong checksum";
  const Xattrs xattrs = image_xattrs(details);
  auto value = [&](const std::string& name) {
    const std::string* found = find_xattr(xattrs, "user.imgcachefs." + name);
    return found ? *found : "(absent)";
  };
  EXPECT_EQ(value("state"), "incomplete");
  EXPECT_EQ(value("cached_bytes"), "65536");
  EXPECT_EQ(value("hits"), "3");
  EXPECT_EQ(value("last_accessed"), "2026-11-20T07:27:27Z");
  EXPECT_EQ(value("checksum"), "md5:" + std::string(32, 'a'));
  EXPECT_EQ(value("verified"), "1");
  EXPECT_EQ(value("pinned"), "0");
  EXPECT_EQ(value("error"), "wrong checksum");
}

TEST(ImageXattrs, ThatHaveNothingToSayAreAbsent) {
  const Xattrs xattrs = image_xattrs({});
  std::set<std::string> names;
  for (const auto& [name, value] : xattrs) names.insert(name);
  EXPECT_EQ(names, (std::set<std::string>{"user.imgcachefs.state", "user.imgcachefs.cached_bytes",
                                          "user.imgcachefs.hits", "user.imgcachefs.verified",
                                          "user.imgcachefs.pinned"}));
  EXPECT_EQ(find_xattr(xattrs, "user.imgcachefs.error"), nullptr);
}

TEST(RootXattrs, NameCacheSourceAndVersion) {
  const Xattrs xattrs = root_xattrs({"1.2", "http://h/", "/cache"});
  EXPECT_EQ(*find_xattr(xattrs, "user.imgcachefs.version"), "1.2");
  EXPECT_EQ(*find_xattr(xattrs, "user.imgcachefs.source"), "http://h/");
  EXPECT_EQ(*find_xattr(xattrs, "user.imgcachefs.cache_dir"), "/cache");
  using namespace std::string_literals;
  EXPECT_EQ(xattr_list(xattrs),
            "user.imgcachefs.cache_dir\0user.imgcachefs.source\0user.imgcachefs.version\0"s);
}

}  // namespace
}  // namespace imgcachefs
