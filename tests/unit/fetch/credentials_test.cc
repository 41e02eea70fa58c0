#include "fetch/credentials.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

class CredentialsFile : public ::testing::Test {
 protected:
  std::string write(const std::string& text, mode_t mode = 0600) {
    std::string path = dir_.write("credentials", text);
    ::chmod(path.c_str(), mode);
    return path;
  }
  std::string refused(const std::string& path) {
    auto loaded = Credentials::load(path);
    EXPECT_FALSE(loaded);
    if (loaded) return "";
    EXPECT_EQ(loaded.error().kind, ErrorKind::kInvalid);
    EXPECT_NE(loaded.error().message.find(path), std::string::npos) << loaded.error().message;
    return loaded.error().message;
  }
  test::TempDir dir_;
};

TEST_F(CredentialsFile, KeysAndValues) {
  auto loaded = Credentials::load(
      write("# who\n\n  username = jane \r\npassword=p = # not a comment\ntoken=\n"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->get("username"), "jane");
  EXPECT_EQ(loaded->get("password"), "p = # not a comment");
  EXPECT_EQ(loaded->get("token"), "");
  EXPECT_EQ(loaded->get("auth_url"), "");
}

TEST_F(CredentialsFile, FilesItNamesAreFoundFromAnotherDirectoryToo) {
  auto loaded = Credentials::load(write("cert = tls/c.pem\nkey = /k.pem\n"));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->get("cert"), (std::filesystem::current_path() / "tls/c.pem").string());
  EXPECT_EQ(loaded->get("key"), "/k.pem");
}

TEST_F(CredentialsFile, StricterModesAreFine) {
  EXPECT_TRUE(Credentials::load(write("token = x", 0400)));
}

TEST_F(CredentialsFile, OpenToOthersIsRefused) {
  for (mode_t mode : {0640, 0604, 0700, 0644, 04600})
    EXPECT_NE(refused(write("token = x", mode)).find("mode"), std::string::npos);
}

TEST_F(CredentialsFile, OnlyARegularFile) {
  const std::string target = write("token = x");
  const std::string link = dir_.file("link");
  ASSERT_EQ(::symlink(target.c_str(), link.c_str()), 0);
  refused(link);
  const std::string fifo = dir_.file("fifo");
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  refused(fifo);
  refused(dir_.path().string());
  refused(dir_.file("absent"));
}

TEST_F(CredentialsFile, UnknownKeysAreNamedWithTheirLine) {
  const std::string message = refused(write("token = hush\n\npasswort = hush\n"));
  EXPECT_NE(message.find("line 3"), std::string::npos) << message;
  EXPECT_NE(message.find("passwort"), std::string::npos) << message;
  EXPECT_EQ(message.find("hush"), std::string::npos) << message;
}

TEST_F(CredentialsFile, OneThatSaysAKeyTwice) {
  const std::string message = refused(write("token = a\nusername = u\ntoken = hush\n"));
  EXPECT_NE(message.find("line 3: key 'token' again"), std::string::npos) << message;
  EXPECT_EQ(message.find("hush"), std::string::npos) << message;
}

TEST_F(CredentialsFile, LinesThatAreNoPair) {
  EXPECT_NE(refused(write("hush")).find("line 1"), std::string::npos);
  EXPECT_EQ(refused(write("hush")).find("hush"), std::string::npos);
  refused(write("= x"));
}

}  // namespace
}  // namespace imgcachefs
