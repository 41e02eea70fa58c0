#include "base/digest.h"

#include "gtest/gtest.h"

namespace imgcachefs {
namespace {

Digest of(DigestAlgo algo, std::string_view text) {
  Hasher hasher(algo);
  hasher.update(std::as_bytes(std::span(text)));
  return hasher.finish();
}

TEST(Digest, KnownAnswers) {
  EXPECT_EQ(of(DigestAlgo::kMd5, "").tagged(), "md5:d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(of(DigestAlgo::kSha1, "abc").tagged(), "sha1:a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(of(DigestAlgo::kSha256, "abc").tagged(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(of(DigestAlgo::kSha384, "abc").hex.substr(0, 16), "cb00753f45a35e8b");
  EXPECT_EQ(of(DigestAlgo::kSha512, "abc").hex.substr(0, 16), "ddaf35a193617aba");
}

TEST(Digest, BytesMayComeInPieces) {
  Hasher hasher(DigestAlgo::kSha256);
  for (const char* piece : {"a", "", "bc"})
    hasher.update(std::as_bytes(std::span(std::string_view(piece))));
  Hasher moved = std::move(hasher);
  EXPECT_EQ(moved.finish(), of(DigestAlgo::kSha256, "abc"));
}

TEST(Digest, NamesOfAlgorithms) {
  EXPECT_EQ(parse_digest_algo("sha-256"), DigestAlgo::kSha256);
  EXPECT_EQ(parse_digest_algo("SHA512"), DigestAlgo::kSha512);
  EXPECT_EQ(parse_digest_algo("md5"), DigestAlgo::kMd5);
  EXPECT_EQ(parse_digest_algo("MD5"), DigestAlgo::kMd5);
  for (const char* name : {"", "sha", "sha3-256", "crc32c", "sha256 "})
    EXPECT_EQ(parse_digest_algo(name), std::nullopt) << name;
  for (auto algo : {DigestAlgo::kMd5, DigestAlgo::kSha1, DigestAlgo::kSha256, DigestAlgo::kSha384,
                    DigestAlgo::kSha512}) {
    EXPECT_EQ(parse_digest_algo(to_string(algo)), algo);
    EXPECT_EQ(of(algo, "x").hex.size(), 2 * digest_bytes(algo));
  }
}

TEST(Digest, HexIsCheckedAndMadeLowerCase) {
  EXPECT_EQ(Digest::parse(DigestAlgo::kMd5, "D41D8CD98F00B204E9800998ECF8427E").value(),
            of(DigestAlgo::kMd5, ""));
  for (const char* text :
       {"", "d41d8cd98f00b204e9800998ecf8427", "d41d8cd98f00b204e9800998ecf8427eb",
        "z41d8cd98f00b204e9800998ecf8427e", " 41d8cd98f00b204e9800998ecf8427e"})
    EXPECT_FALSE(Digest::parse(DigestAlgo::kMd5, text)) << text;
}

TEST(Digest, TaggedForm) {
  EXPECT_EQ(Digest::parse_tagged("md5:d41d8cd98f00b204e9800998ecf8427e").value(),
            of(DigestAlgo::kMd5, ""));
  for (const char* text : {"", "md5", "md5:", ":d41d8cd98f00b204e9800998ecf8427e",
                           "sha256:d41d8cd98f00b204e9800998ecf8427e", "what:00"})
    EXPECT_FALSE(Digest::parse_tagged(text)) << text;
}

TEST(Digest, Base64AsHttpHeadersCarryIt) {
  EXPECT_EQ(Digest::from_base64(DigestAlgo::kMd5, "1B2M2Y8AsgTpgAmY7PhCfg==").value(),
            of(DigestAlgo::kMd5, ""));
  EXPECT_EQ(Digest::from_base64(DigestAlgo::kSha256, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=")
                .value(),
            of(DigestAlgo::kSha256, "abc"));
  const std::string sha384 = "ywB1P0WjXou1oD1pmsZQBycsMqsO3tFjGotgWkP/W+2AhgcroefMI1i67KE0yCWn";
  EXPECT_EQ(Digest::from_base64(DigestAlgo::kSha384, sha384).value(),  // without padding
            of(DigestAlgo::kSha384, "abc"));
  for (const char* text :
       {"", "1B2M2Y8AsgTpgAmY7PhCfg", "1B2M2Y8AsgTpgAmY7PhC====", "1B2M2Y8AsgTpgAmY7PhCfgAA",
        "!B2M2Y8AsgTpgAmY7PhCfg==", "1B2M2Y8AsgTpgAmY7PhCfg==AAAA",
        "1B2M2Y8AsgTpgAmY7PhCf===", "1B2M2Y8A=gTpgAmY7PhCfg==", "1B2M2Y8A gTpgAmY7PhCfg=="})
    EXPECT_FALSE(Digest::from_base64(DigestAlgo::kMd5, text)) << text;
}

}  // namespace
}  // namespace imgcachefs
