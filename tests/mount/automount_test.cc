// Below an automounter (systemd's .automount, x-systemd.automount of fstab): the kernel's autofs,
// with this test in the place of the automounter's daemon.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/auto_fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/posix.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

// A direct mount, as systemd makes them. Who is of this process group goes through, all others wait
// until what they came for is mounted.
class Automounter {
 public:
  explicit Automounter(std::string directory) : directory_(std::move(directory)) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_DIRECT) < 0) throw_errno("pipe");
    asked_.reset(ends[0]);
    UniqueFd write(ends[1]);
    const std::string options = "fd=" + std::to_string(write.get()) +
                                ",pgrp=" + std::to_string(::getpgrp()) +
                                ",minproto=5,maxproto=5,direct";
    if (::mount("test", directory_.c_str(), "autofs", 0, options.c_str()) < 0)
      throw_errno("autofs");
    there_.reset(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!there_) throw_errno("open");
  }
  ~Automounter() {
    there_.reset();
    ::umount2(directory_.c_str(), MNT_DETACH);  // what is mounted on it
    ::umount2(directory_.c_str(), MNT_DETACH);
  }
  Automounter(const Automounter&) = delete;
  Automounter& operator=(const Automounter&) = delete;

  // Waits for somebody to come. What he waits by; 0: nobody came.
  unsigned asked() {
    pollfd wait{asked_.get(), POLLIN, 0};
    if (::poll(&wait, 1, 30'000) != 1) return 0;
    autofs_v5_packet packet{};
    return ::read(asked_.get(), &packet, sizeof packet) > 0 ? packet.wait_queue_token : 0;
  }
  // Lets him, and all who wait with him, go on: to what is mounted, or to an error.
  bool answer(unsigned token, bool mounted) {
    return ::ioctl(there_.get(), mounted ? AUTOFS_IOC_READY : AUTOFS_IOC_FAIL, token) == 0;
  }

 private:
  [[noreturn]] static void throw_errno(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
  }

  const std::string directory_;
  UniqueFd asked_, there_;
};

// SEMANTICS: A mount point of an automounter is mounted when somebody comes to it.
TEST(Automount, IsMountedWhenSomebodyComes) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root mounts autofs";
  FaultServer server;
  server.put("/images/a", Content::of("bytes"));
  // The group that we came with may be one of another PID namespace.
  if (::getpgrp() == 0) {
    ASSERT_EQ(::setpgid(0, 0), 0);
  }
  TempDir base;
  const std::string directory = std::filesystem::canonical(base.path()).string() + "/mnt";
  std::filesystem::create_directory(directory);
  Automounter automounter(directory);

  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd read(ends[0]), write(ends[1]);
  const std::string image = directory + "/a";
  const pid_t reader = ::fork();
  ASSERT_GE(reader, 0);
  if (reader == 0) {
    ::setsid();  // of no group that would be let through
    char bytes[16] = {};
    const int fd = ::open(image.c_str(), O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? 0 : ::read(fd, bytes, sizeof bytes);
    ::_exit(n > 0 && ::write(write.get(), bytes, static_cast<size_t>(n)) == n ? 0 : 1);
  }
  write.reset();
  const unsigned token = automounter.asked();
  ASSERT_NE(token, 0u);
  const CommandResult mounting =
      run({built("imgcachefs"), server.url("/images/"), directory, "-o",
           "cache_dir=" + base.file("cache")},
          {.timeout = std::chrono::seconds(20), .env = {}, .directory = {}});
  EXPECT_TRUE(mounting.ok()) << mounting.describe();
  EXPECT_TRUE(automounter.answer(token, mounting.ok()));
  int status = -1;
  ASSERT_EQ(::waitpid(reader, &status, 0), reader);
  EXPECT_EQ(status, 0);
  char bytes[16] = {};
  EXPECT_EQ(::read(read.get(), bytes, sizeof bytes), 5);
  EXPECT_STREQ(bytes, "bytes");
  EXPECT_TRUE(run({"umount", directory}).ok());
}

}  // namespace
}  // namespace imgcachefs::test
