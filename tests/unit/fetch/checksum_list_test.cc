#include "fetch/checksum_list.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

const std::string kA(64, 'a'), kB(64, 'b'), kMd5(32, 'c');

std::string found(const ChecksumList& list, const std::string& name) {
  auto digest = list.find(name);
  return digest ? digest->tagged() : "none";
}

ChecksumList sha256(const std::string& text) {
  return ChecksumList::parse(text, DigestAlgo::kSha256);
}

TEST(ChecksumList, GnuTextAndBinaryMarks) {
  auto list = sha256(kA + "  text.img\n" + kB + " *binary.img\n" + kA + " one blank.img");
  EXPECT_EQ(found(list, "text.img"), "sha256:" + kA);
  EXPECT_EQ(found(list, "binary.img"), "sha256:" + kB);
  EXPECT_EQ(found(list, "one blank.img"), "sha256:" + kA);
  EXPECT_EQ(found(list, "other.img"), "none");
}

TEST(ChecksumList, NamesKeepTheirBlanksAndStars) {
  auto list = sha256(kA + "   leading\n" + kB + "  *star\n");
  EXPECT_EQ(found(list, " leading"), "sha256:" + kA);
  EXPECT_EQ(found(list, "*star"), "sha256:" + kB);
}

TEST(ChecksumList, BsdLinesTellTheirAlgorithm) {
  auto list = sha256("SHA256 (a (1).img) = " + kA + "\nMD5 (b) = " + kMd5 + "\nSHA2 (c) = " + kA +
                     "\nSHA512 (d) = " + kA + "\n");
  EXPECT_EQ(found(list, "a (1).img"), "sha256:" + kA);
  EXPECT_EQ(found(list, "b"), "md5:" + kMd5);
  EXPECT_EQ(list.size(), 2u);
}

TEST(ChecksumList, EscapedNames) {
  auto list = sha256("\\" + kA + "  a\\\\b\\nc\\rd\n\\" + kB +
                     "  bad\\x\n\\SHA256 (t\\\\x) = " + kB + "\n" + kB + "  plain\\n\n");
  EXPECT_EQ(found(list, "a\\b\nc\rd"), "sha256:" + kA);
  EXPECT_EQ(found(list, "t\\x"), "sha256:" + kB);
  EXPECT_EQ(found(list, "plain\\n"), "sha256:" + kB);
  EXPECT_EQ(list.size(), 3u);
}

TEST(ChecksumList, CrlfUpperCaseAndDotSlash) {
  auto list =
      sha256("\xEF\xBB\xBF" + std::string(64, 'A') + "  ./x.img\r\n" + kB + "  sub/y.img\r\n");
  EXPECT_EQ(found(list, "x.img"), "sha256:" + kA);
  EXPECT_EQ(found(list, "y.img"), "none");
}

TEST(ChecksumList, PassesOverWhatIsNoLine) {
  auto list = sha256("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# comment\n" + kA +
                     "  x\n" + std::string(63, 'a') + "  short\n" + std::string(64, 'g') +
                     "  no hex\n" + kA + "\n" + kA + " \n" + kA +
                     "nothing between\n-----BEGIN PGP SIGNATURE-----\niQIzBAEBCAAdFiEE\n"
                     "-----END PGP SIGNATURE-----\n<html><body>404</body></html>\n");
  EXPECT_EQ(found(list, "x"), "sha256:" + kA);
  EXPECT_EQ(list.size(), 1u);
}

TEST(ChecksumList, TheLastLineOfANameCounts) {
  EXPECT_EQ(found(sha256(kA + "  x\n" + kB + "  x\n"), "x"), "sha256:" + kB);
}

TEST(ChecksumList, EmptyOnes) {
  EXPECT_EQ(sha256("").size(), 0u);
  EXPECT_EQ(sha256("\n\r\n\\\n (").size(), 0u);
}

}  // namespace
}  // namespace imgcachefs
