// As a service of systemd: what it is told, what the daemon may do, and where its secrets come
// from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "base/posix.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

using testing::Contains;
using testing::HasSubstr;

// What systemd listens with: see sd_notify(3).
class NotifySocket {
 public:
  NotifySocket() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::system_error(errno, std::generic_category(), "bind");
  }
  std::string path() const { return directory_.file("notify"); }

  // All lines so far.
  const std::vector<std::string>& lines() {
    std::string text(4096, '\0');
    for (ssize_t n; (n = ::recv(fd_.get(), text.data(), text.size(), 0)) > 0;) {
      std::istringstream said(text.substr(0, static_cast<size_t>(n)));
      for (std::string line; std::getline(said, line);) lines_.push_back(line);
    }
    return lines_;
  }
  bool wait_for(const std::string& line, size_t times = 1) {
    return wait_until([&] {
      return static_cast<size_t>(std::count(lines().begin(), lines().end(), line)) >= times;
    });
  }

 private:
  TempDir directory_;
  UniqueFd fd_;
  std::vector<std::string> lines_;
};

std::string status_field(pid_t pid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
  return "";
}

class Service : public testing::Test {
 protected:
  FaultServer server_;
};

TEST_F(Service, TellsSystemdWhatItDoes) {
  NotifySocket systemd;
  server_.put("/images/a", Content::generated(3 << 20));
  Mounted mount({.source = server_.url("/images/"),
                 .options = {"max_size=1G"},
                 .env = {{"NOTIFY_SOCKET", systemd.path()}}});
  EXPECT_TRUE(systemd.wait_for("READY=1"));
  EXPECT_THAT(systemd.lines(), Contains("MAINPID=" + std::to_string(mount.pid())));
  EXPECT_TRUE(systemd.wait_for("STATUS=0 images cached, 0 B of 1.0 GiB"));
  mount.read_all("a");
  ASSERT_TRUE(mount.wait_state("a", "cached"));
  ASSERT_EQ(::kill(mount.pid(), SIGHUP), 0);
  EXPECT_TRUE(systemd.wait_for("RELOADING=1"));
  EXPECT_THAT(systemd.lines(), Contains(HasSubstr("MONOTONIC_USEC=")));
  EXPECT_TRUE(systemd.wait_for("READY=1", 2));
  EXPECT_TRUE(systemd.wait_for("STATUS=1 images cached, 3.0 MiB of 1.0 GiB"));
  EXPECT_EQ(mount.terminate(SIGTERM), 0);
  EXPECT_TRUE(systemd.wait_for("STOPPING=1"));
}

// SEMANTICS: The daemon gives up every capability it does not need, and can get none back.
TEST_F(Service, KeepsTheCapabilitiesItNeedsAndNoOthers) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root has capabilities";
  Mounted mount({.source = server_.url("/images/"), .options = {}});
  uint64_t needed = 0;
  for (int capability : {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_SYS_ADMIN})
    needed |= uint64_t{1} << capability;
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"})
    EXPECT_EQ(std::stoull(status_field(mount.pid(), set), nullptr, 16) & ~needed, 0u) << set;
  EXPECT_EQ(std::stoull(status_field(mount.pid(), "CapInh"), nullptr, 16), 0u);
  EXPECT_EQ(status_field(mount.pid(), "NoNewPrivs"), "1");
}

// SEMANTICS: What a unit's `LoadCredential=credentials:FILE` loads is the credentials file, where
// no option names one.
TEST_F(Service, TakesItsSecretsFromSystemd) {
  TempDir given;
  const std::string path = given.write("credentials", "token = let-me-in\n");
  ASSERT_EQ(::chmod(path.c_str(), 0400), 0);
  server_.put("/images/a", Content::of("bytes"));
  server_.on_request([](const Request& request) {
    return request.header("authorization") == "Bearer let-me-in" ? Behaviour{}
                                                                 : Behaviour::of_status(401);
  });
  Mounted mount({.source = server_.url("/images/"),
                 .options = {},
                 .env = {{"CREDENTIALS_DIRECTORY", given.path()}}});
  EXPECT_EQ(mount.read_all("a"), "bytes");
}

// SEMANTICS: `imgcachefs --config=FILE` mounts what `source` and `mountpoint` of the file say.
TEST_F(Service, IsMountedByAConfigFileAlone) {
  TempDir directory;
  const std::string mountpoint = directory.file("mnt");
  std::filesystem::create_directory(mountpoint);
  server_.put("/images/a", Content::of("bytes"));
  const std::string config = directory.write(
      "config", "source = " + server_.url("/images/") + "\nmountpoint = " + mountpoint +
                    "\ncache_dir = " + directory.file("cache") + "\n[" + mountpoint +
                    "]\nmode = 0400\n");
  ASSERT_TRUE(run({built("imgcachefs"), "--config=" + config}).ok());
  EXPECT_EQ(read_file(mountpoint + "/a"), "bytes");
  struct stat st {};
  EXPECT_EQ(::stat((mountpoint + "/a").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0400u);
  EXPECT_TRUE(run({"umount", mountpoint}).ok());
}

}  // namespace
}  // namespace imgcachefs::test
