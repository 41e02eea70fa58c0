// The names of registries, right and hostile.
#include "fetch/oci_names.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using namespace std::string_literals;

TEST(OciNames, OfRepositories) {
  for (const std::string& good :
       {"a"s, "0"s, "team/vm"s, "a/b/c/d"s, "a.b_c__d-e--f/g"s, "a---b"s, "library/debian"s,
        "x.y/z"s, std::string(255, 'a'), "incomplete"s, "127.0.0.1/x"s})
    EXPECT_TRUE(is_repository_name(good)) << good;
  for (const std::string& bad : {""s,
                                 "/"s,
                                 "a/"s,
                                 "/a"s,
                                 "a//b"s,
                                 "A"s,
                                 "team/VM"s,
                                 ".a"s,
                                 "a."s,
                                 "a..b"s,
                                 "a___b"s,
                                 "-a"s,
                                 "a-"s,
                                 "_a"s,
                                 "a_"s,
                                 "a._b"s,
                                 "a.-b"s,
                                 "a-_b"s,
                                 "."s,
                                 ".."s,
                                 "a/../b"s,
                                 "a/./b"s,
                                 ".tags"s,
                                 "a b"s,
                                 "a%2fb"s,
                                 "a:b"s,
                                 "a@b"s,
                                 "a?b"s,
                                 "a#b"s,
                                 "\xc3\xa4"s,
                                 "a\nb"s,
                                 "a\0b"s,
                                 "a/sha256:00"s,
                                 std::string(256, 'a')})
    EXPECT_FALSE(is_repository_name(bad)) << bad;
}

TEST(OciNames, OfTags) {
  for (const std::string& good : {"latest"s, "1"s, "v1.2_x-y"s, "_x"s, "A"s, std::string(128, 'a')})
    EXPECT_TRUE(is_tag_name(good)) << good;
  for (const std::string& bad : {""s, "."s, ".."s, ".a"s, "-a"s, "a/b"s, "a b"s, "a:b"s, "a+b"s,
                                 "a\n"s, "\xc3\xa4"s, std::string(129, 'a')})
    EXPECT_FALSE(is_tag_name(bad)) << bad;
}

TEST(OciNames, OfBlobs) {
  const std::string sha256 = "sha256:" + std::string(64, 'a');
  const std::string sha512 = "sha512:" + std::string(128, '0');
  for (const std::string& good : {sha256, sha512}) {
    auto digest = parse_blob_digest(good);
    ASSERT_TRUE(digest) << good;
    EXPECT_EQ(digest->tagged(), good);
    const ImageId id = id_of_blob(*digest);
    EXPECT_EQ(id.str(), good);
    EXPECT_EQ(digest_of(id), *digest);
  }
  for (const std::string& bad :
       {""s, "sha256"s, "sha256:"s, sha256 + "a", sha256.substr(0, 70),
        "SHA256:"s + sha256.substr(7), "sha256:" + std::string(64, 'A'),
        "sha256:" + std::string(64, 'g'), "sha256-" + sha256.substr(7),
        "sha512:" + std::string(64, 'a'), "md5:" + std::string(32, 'a'),
        "sha384:" + std::string(96, 'a'), " " + sha256, sha256 + "\n", "sha256:\n"s}) {
    auto digest = parse_blob_digest(bad);
    ASSERT_FALSE(digest) << bad;
    EXPECT_EQ(digest.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(digest.error().message.find('\n'), std::string::npos);
    if (auto id = ImageId::parse(bad)) {
      EXPECT_FALSE(digest_of(*id));
    }
  }
}

}  // namespace
}  // namespace imgcachefs
