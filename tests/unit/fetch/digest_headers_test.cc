#include "fetch/digest_headers.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

// Of "hello world\n", computed with sha256sum, md5sum.
const char* const kSha256 = "qUiQTy8PR5uPgZdpSzAYSw0u0cHNKh7A+4XSmaGSpEc=";
const char* const kSha256Hex = "a948904f2f0f479b8f8197694b30184b0d2ed1c1cd2a1ec0fb85d299a192a447";
const char* const kMd5 = "b1kCrCNwJL3QwXbLkwY9xA==";

std::string digest_of(std::vector<std::pair<std::string, std::string>> headers, int status = 200) {
  auto digest = digest_of_headers({.status = status, .url = "", .headers = std::move(headers)});
  return digest ? digest->tagged() : "none";
}

TEST(DigestHeaders, ReprDigest) {
  const std::string want = std::string("sha256:") + kSha256Hex;
  EXPECT_EQ(digest_of({{"repr-digest", std::string("sha-256=:") + kSha256 + ":"}}), want);
  EXPECT_EQ(digest_of({{"repr-digest",
                        std::string("md5=:") + kMd5 + ": , sha-256=:" + kSha256 + ":;x=1"}},
                      206),
            want);
}

TEST(DigestHeaders, Digest) {
  const std::string want = std::string("sha256:") + kSha256Hex;
  EXPECT_EQ(digest_of({{"digest", std::string("SHA-256=") + kSha256}}), want);
  EXPECT_EQ(digest_of({{"digest",
                        std::string("MD5=") + kMd5 + ",SHA-256=" + kSha256 + ",UNIXsum=30637"}}),
            want);
}

TEST(DigestHeaders, ContentMd5OnlyOfAWholeBody) {
  EXPECT_EQ(digest_of({{"content-md5", kMd5}}).substr(0, 4), "md5:");
  EXPECT_EQ(digest_of({{"content-md5", kMd5}}, 206), "none");
}

TEST(DigestHeaders, TheStrongestWins) {
  EXPECT_EQ(digest_of({{"content-md5", kMd5}, {"digest", std::string("SHA-256=") + kSha256}}),
            std::string("sha256:") + kSha256Hex);
}

TEST(DigestHeaders, WhatIsNoneOfThem) {
  EXPECT_EQ(digest_of({}), "none");
  EXPECT_EQ(digest_of({{"content-digest", std::string("sha-256=:") + kSha256 + ":"}}), "none");
  EXPECT_EQ(digest_of({{"repr-digest", std::string("sha-256=") + kSha256}}), "none");
  EXPECT_EQ(digest_of({{"repr-digest", "sha-256=:AAAA:"}}), "none");
  EXPECT_EQ(digest_of({{"repr-digest", "sha-256=:"}, {"digest", ",=,x,SHA-256="}}), "none");
  EXPECT_EQ(digest_of({{"content-md5", "not base64"}}), "none");
}

}  // namespace
}  // namespace imgcachefs
