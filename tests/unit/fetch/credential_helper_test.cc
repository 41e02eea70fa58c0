#include "fetch/credential_helper.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <cstdlib>
#include <thread>

#include "support/log_capture.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;

class CredentialHelper : public ::testing::Test {
 protected:
  CredentialHelper() : path_(std::getenv("PATH")) {
    ::setenv("PATH", (dir_.path().string() + ":" + path_).c_str(), 1);
  }
  ~CredentialHelper() override {
    ::setenv("PATH", path_.c_str(), 1);
    EXPECT_EQ(log_.text(), "");
  }

  // docker-credential-<name> does that.
  void script(const std::string& text, const std::string& name = "test") {
    ::chmod(dir_.write("docker-credential-" + name, "#!/bin/sh\n" + text + "\n").c_str(), 0755);
  }
  static Result<std::optional<RegistrySecrets>> ask(
      const HelperQuestion& question = {"test", "reg.example:5000"},
      std::chrono::milliseconds limit = 30s, std::stop_token stop = {}) {
    return ask_helper(question, limit, std::move(stop));
  }
  // The kind of the error; its message holds the helper's name, and no secret.
  static ErrorKind kind(const Result<std::optional<RegistrySecrets>>& answer) {
    EXPECT_FALSE(answer);
    if (answer) return ErrorKind::kIo;
    EXPECT_NE(answer.error().message.find("docker-credential-"), std::string::npos);
    EXPECT_EQ(answer.error().message.find("s3cret"), std::string::npos) << answer.error().message;
    return answer.error().kind;
  }
  // Waits for what the helper wrote of itself.
  pid_t pid_in(const std::string& name) {
    for (;;) {
      const pid_t pid = std::atoi(test::read_file(dir_.file(name)).c_str());
      if (pid > 0) return pid;
      std::this_thread::sleep_for(5ms);
    }
  }

  test::LogCapture log_;
  std::string path_;
  test::TempDir dir_;
};

TEST_F(CredentialHelper, IsAskedForTheServer) {
  script(
      R"sh(test "$*" = get && printf '{"ServerURL":"x","Username":"%s","Secret":"s3cret"}' "$(cat)")sh");
  auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_TRUE(*answer);
  EXPECT_EQ((*answer)->username, "reg.example:5000");
  EXPECT_EQ((*answer)->password, "s3cret");
  EXPECT_EQ((*answer)->identity_token, "");
  EXPECT_EQ((*answer)->whence, "docker-credential-test");
}

TEST_F(CredentialHelper, AnIdentityToken) {
  script(R"(echo '{"Username":"<token>","Secret":"s3cret"}')");
  auto answer = ask();
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ((*answer)->username + (*answer)->password, "");
  EXPECT_EQ((*answer)->identity_token, "s3cret");
}

TEST_F(CredentialHelper, ItHasNothing) {
  script("echo 'credentials not found in native keychain'; exit 1");
  auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_FALSE(*answer);
  script(R"(echo '{"Username":"","Secret":""}')");
  answer = ask();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_FALSE(*answer);
}

TEST_F(CredentialHelper, Failures) {
  script("echo s3cret; echo s3cret >&2; exit 3");
  EXPECT_EQ(kind(ask()), ErrorKind::kUnavailable);
  EXPECT_NE(ask().error().message.find("exit code 3"), std::string::npos);
  script("kill -9 $$");
  EXPECT_NE(ask().error().message.find("exit code 137"), std::string::npos);
  EXPECT_EQ(kind(ask({"of-this-name-there-is-none", "x"})), ErrorKind::kUnavailable);
  for (const char* text :
       {"", "s3cret", "{}", "[1]", R"({"Username":"a"})", R"({"Username":"a","Secret":7})",
        R"({"Username":null,"Secret":"s3cret"})"}) {
    script("cat <<'EOF'\n" + std::string(text) + "\nEOF");
    EXPECT_EQ(kind(ask()), ErrorKind::kProtocol) << text;
  }
  script("exec yes s3cret");
  EXPECT_EQ(kind(ask()), ErrorKind::kProtocol);
}

TEST_F(CredentialHelper, OnlyNamesThatCannotLeadElsewhere) {
  for (const char* name : {"", "a/b", "../x", "a b", "a;b", "$(id)", "\xc3\xa4"})
    EXPECT_EQ(ask({name, "x"}).error().kind, ErrorKind::kInvalid) << name;
  EXPECT_TRUE(is_helper_name("ecr-login"));
  EXPECT_TRUE(is_helper_name("A.b_c-9"));
  script(R"(echo '{"Username":"a","Secret":"b"}')", "A.b_c-9");
  EXPECT_TRUE(ask({"A.b_c-9", "x"}));
  EXPECT_EQ(ask({"A.b_c-9", std::string(5000, 'x')}).error().kind, ErrorKind::kInvalid);
}

TEST_F(CredentialHelper, TheServerIsTextAndNoCommand) {
  script(R"(read -r server; printf '{"Username":"u","Secret":"%s"}' "$server")");
  auto answer = ask({"test", "$(id) `id` ; x"});
  ASSERT_TRUE(answer && *answer);
  EXPECT_EQ((*answer)->password, "$(id) `id` ; x");
}

TEST_F(CredentialHelper, OneThatDoesNotListen) {
  script(R"(exec <&-; echo '{"Username":"a","Secret":"b"}')");
  EXPECT_TRUE(ask());
}

TEST_F(CredentialHelper, WhoItLeavesBehindHoldsNobodyUp) {
  script("sleep 60 & echo $! > " + dir_.file("pid") + R"(; echo '{"Username":"a","Secret":"b"}')");
  auto answer = ask();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_TRUE(*answer);
  const pid_t left = pid_in("pid");
  EXPECT_EQ(::kill(left, SIGKILL), 0);  // it may be a daemon that keeps the secrets: it lives on
}

TEST_F(CredentialHelper, IsEndedWhenTheTimeIsOver) {
  script("echo s3cret; exec sleep 600");
  EXPECT_EQ(kind(ask({"test", "x"}, 300ms)), ErrorKind::kTimeout);
}

TEST_F(CredentialHelper, IsEndedWithAllItStartedWhenWeAreToldToStop) {
  script("echo $$ > " + dir_.file("self") + "; sleep 600 & echo $! > " + dir_.file("other") +
         "; wait");
  std::stop_source stop;
  std::jthread stopper([&] {
    pid_in("other");
    stop.request_stop();
  });
  EXPECT_EQ(kind(ask({"test", "x"}, 60s, stop.get_token())), ErrorKind::kCancelled);
  EXPECT_NE(::kill(pid_in("self"), 0), 0);  // ours: it has been waited for
  const pid_t other = pid_in("other");
  while (::kill(other, 0) == 0) {
    // A zombie until init sees to it.
    const std::string stat = test::read_file("/proc/" + std::to_string(other) + "/stat");
    if (stat.find(") Z") != std::string::npos) break;
    std::this_thread::sleep_for(5ms);
  }
}

TEST_F(CredentialHelper, HasSignalsAsAProgramExpectsThem) {
  script("sed -n 's/^SigIgn:\t//p' /proc/self/status > " + dir_.file("ignored") +
         R"(; echo '{"Username":"a","Secret":"b"}')");
  auto before = ::signal(SIGPIPE, SIG_IGN);
  EXPECT_TRUE(ask());
  ::signal(SIGPIPE, before);
  const std::string ignored = test::read_file(dir_.file("ignored"));
  ASSERT_EQ(ignored.size(), 17u) << ignored;
  EXPECT_EQ(std::stoull(ignored, nullptr, 16) >> (SIGPIPE - 1) & 1, 0u) << ignored;
}

}  // namespace
}  // namespace imgcachefs
