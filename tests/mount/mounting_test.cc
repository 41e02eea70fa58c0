// Mounting and unmounting as DESIGN 2.1 has it. What is served does not matter here, and most of it
// needs no upstream at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/posix.h"
#include "support/mounted.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Nobody listens there: "mounting needs no upstream".
const std::string kNobody = "http://127.0.0.1:1/images/";

CommandResult imgcachefs(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), built("imgcachefs"));
  return run(arguments);
}

std::string mount_line(const std::string& mountpoint) {
  return run({"findmnt", "-n", "-o", "SOURCE,FSTYPE,OPTIONS", mountpoint}).out;
}

TEST(Mounting, NeedsNoUpstreamAndShowsInTheMountTable) {
  Mounted mount({.source = kNobody, .options = {}});
  EXPECT_THAT(mount_line(mount.path()), AllOf(HasSubstr(kNobody), HasSubstr("fuse.imgcachefs"),
                                              HasSubstr("ro,nosuid,nodev")));
  struct stat st;
  ASSERT_EQ(::stat(mount.path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode, S_IFDIR | 0555u);
  EXPECT_EQ(mount.unmount(), 0);
  EXPECT_EQ(mount_line(mount.path()), "");
}

TEST(Mounting, KeepsEverySignOfTheSource) {
  const std::string source = "http://127.0.0.1:1/a,b\\c%20d/";
  Mounted mount({.source = source, .options = {}});
  EXPECT_EQ(mount.xattr("", "source"), source);
  EXPECT_THAT(mount_line(mount.path()), HasSubstr("/a,b\\c%20d/"));
}

TEST(Mounting, OfNothingOrSomethingUnknownExitsWith1AndOneLine) {
  TempDir dir;
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {kNobody},
                                             {kNobody, dir.path(), "-o", "no_such=1"},
                                             {kNobody, dir.path(), "-o", "max_size=lots"},
                                             {kNobody, dir.path(), "--no-such"},
                                             {"http://me:pw@h/", dir.path()},
                                             {"oci+http://h:5000/team", dir.path()},
                                             {"glance:", dir.path()},
                                             {"http://h/", dir.path(), "-o", "region=r"},
                                             {"/a/directory", dir.path()}}) {
    CommandResult result = imgcachefs(arguments);
    EXPECT_EQ(result.exit_code, 1) << result.describe();
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(result.out, "");
  }
  EXPECT_EQ(mount_line(dir.path()), "");
}

TEST(Mounting, ThatFailsExitsWith32AndSaysWhy) {
  TempDir dir;
  const std::string cache = "cache_dir=" + dir.file("cache");
  const std::string file = dir.write("file", "");
  std::filesystem::create_directories(dir.file("mnt"));
  auto reason = [&](const std::string& mountpoint, const std::string& options) {
    CommandResult result = imgcachefs({kNobody, mountpoint, "-o", options});
    EXPECT_EQ(result.exit_code, 32) << result.describe();
    EXPECT_EQ(mount_line(mountpoint), "");
    return result.err;
  };
  EXPECT_THAT(reason(dir.file("none"), cache), HasSubstr("No such file"));
  EXPECT_THAT(reason(file, cache), HasSubstr("no directory"));
  EXPECT_THAT(reason(dir.file("mnt"), "cache_dir=" + dir.file("mnt/cache")), HasSubstr("cache"));
  EXPECT_THAT(reason(dir.file("mnt"), "cache_dir=" + dir.path().string()), HasSubstr("cache"));
  EXPECT_THAT(reason(dir.file("mnt"), "cache_dir=" + file + "/x"), HasSubstr("file"));
  EXPECT_THAT(reason(dir.file("mnt"), cache + ",log_file=" + file + "/x"), HasSubstr("log"));
}

TEST(Mounting, WhereItIsMountedAlreadyFailsAndLeavesTheMountAlone) {
  Mounted mount({.source = kNobody, .options = {}});
  TempDir other;
  CommandResult again =
      imgcachefs({kNobody, mount.path(), "-o", "cache_dir=" + other.file("cache")});
  EXPECT_EQ(again.exit_code, 32) << again.describe();
  EXPECT_THAT(again.err, HasSubstr("already"));
  EXPECT_EQ(mount.unmount(), 0);
}

TEST(Mounting, OverACacheThatAnotherDaemonHasFails) {
  Mounted mount({.source = kNobody, .options = {}});
  TempDir other;
  CommandResult second =
      imgcachefs({kNobody, other.path(), "-o", "cache_dir=" + mount.cache_dir()});
  EXPECT_EQ(second.exit_code, 32) << second.describe();
  EXPECT_EQ(mount_line(other.path()), "");
}

TEST(Mounting, TakesADeadMountAway) {
  Mounted mount({.source = kNobody, .options = {}});
  mount.kill9();
  CommandResult result = mount.try_start();
  EXPECT_TRUE(result.ok()) << result.describe();
  EXPECT_THAT(result.err, HasSubstr("dead mount"));
  EXPECT_EQ(mount.xattr("", "source"), kNobody);
  EXPECT_EQ(mount.unmount(), 0);
  EXPECT_EQ(mount_line(mount.path()), "");
}

TEST(Mounting, InTheForegroundLastsAsLongAsTheProcess) {
  TempDir dir;
  std::filesystem::create_directories(dir.file("mnt"));
  RunOptions limit;
  limit.timeout = std::chrono::seconds(20);
  CommandResult result = run({"timeout", "-s", "INT", "2", built("imgcachefs"), kNobody,
                              dir.file("mnt"), "-f", "-o", "cache_dir=" + dir.file("cache")},
                             limit);
  EXPECT_EQ(result.exit_code, 124) << result.describe();  // timeout's own: the signal was sent
  EXPECT_THAT(result.err, AllOf(HasSubstr("is mounted at"), HasSubstr("unmounted")));
  EXPECT_EQ(mount_line(dir.file("mnt")), "");
}

TEST(Mounting, IsControlledByConfigEnvironmentAndFstabsOptions) {
  TempDir dir;
  const std::string config = dir.write("conf", "mode = 0440\nuid = 7\n");
  Mounted mount({.source = kNobody,
                 .options = {"rw", "nofail", "_netdev", "x-systemd.automount", "gid=9"},
                 .arguments = {"--max-size=1G"},
                 .env = {{"IMGCACHEFS_CONFIG", config}, {"IMGCACHEFS_UID", "8"}}});
  struct stat st;
  ASSERT_EQ(::stat(mount.path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode, S_IFDIR | 0550u);
  EXPECT_EQ(st.st_uid, 8u);
  EXPECT_EQ(st.st_gid, 9u);
  EXPECT_EQ(mount.status()["max_size"], 1u << 30);
}

TEST(Mounting, LetsTheKernelReadFartherAheadUnlessOnlyWhatIsReadIsToBeFetched) {
  const auto read_ahead = [](const Mounted& mount) -> int {
    struct stat st {};
    EXPECT_EQ(::stat(mount.path().c_str(), &st), 0);
    int kib = 0;
    std::ifstream("/sys/class/bdi/" + std::to_string(major(st.st_dev)) + ":" +
                  std::to_string(minor(st.st_dev)) + "/read_ahead_kb") >>
        kib;
    return kib;
  };
  Mounted all({.source = kNobody, .options = {}});
  EXPECT_TRUE(wait_until([&] { return read_ahead(all) == 512; }));
  Mounted demand({.source = kNobody, .options = {"fill=demand"}});
  EXPECT_LT(read_ahead(demand), 512);
}

TEST(Unmounting, BySignalIsClean) {
  for (int signal : {SIGTERM, SIGINT}) {
    Mounted mount({.source = kNobody, .options = {}});
    EXPECT_EQ(mount.terminate(signal), 0) << signal;
    EXPECT_EQ(mount_line(mount.path()), "");
  }
}

TEST(Unmounting, ByFusermountIsCleanToo) {
  Mounted mount({.source = kNobody, .options = {}});
  const CommandResult result = run({"fusermount3", "-u", mount.path()});
  EXPECT_TRUE(result.ok()) << result.describe();
  EXPECT_EQ(mount.wait_exit(std::chrono::seconds(20)), 0);
  EXPECT_EQ(mount_line(mount.path()), "");
}

TEST(Unmounting, LeavesAMountOfAnotherOverOursAlone) {
  Mounted mount({.source = kNobody, .options = {}});
  ASSERT_EQ(::mount("over", mount.path().c_str(), "tmpfs", 0, nullptr), 0);
  EXPECT_EQ(mount.terminate(SIGTERM), 0);
  EXPECT_THAT(mount_line(mount.path()), HasSubstr("tmpfs"));
}

TEST(Unmounting, LazilyLeavesASuccessorAlone) {
  // The first daemon lives on for a file that is open; the second is mounted at the same place (and
  // does not inherit that file).
  Mounted first({.source = kNobody, .options = {}});
  UniqueFd open(::open(first.path(".imgcachefs/status").c_str(), O_RDONLY));
  ASSERT_TRUE(run({"umount", "-l", first.path()}).ok());
  TempDir cache;
  ASSERT_TRUE(imgcachefs({kNobody, first.path(), "-o", "cache_dir=" + cache.file("cache")}).ok());
  open.reset();
  EXPECT_EQ(first.wait_exit(std::chrono::seconds(20)), 0);
  EXPECT_THAT(mount_line(first.path()), HasSubstr("fuse.imgcachefs"));
  EXPECT_TRUE(run({"umount", first.path()}).ok());
}

TEST(Help, ListsEveryOptionAndExitsWith0) {
  CommandResult help = imgcachefs({"-h"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_EQ(help.err, "");
  for (const char* option : {"cache_dir",
                             "driver",
                             "max_size",
                             "min_free",
                             "stall_time",
                             "janitor_interval",
                             "fill",
                             "verify",
                             "revalidate",
                             "negative_ttl",
                             "list",
                             "chunk_size",
                             "connections",
                             "limit_rate",
                             "connect_timeout",
                             "low_speed_limit",
                             "low_speed_time",
                             "retries",
                             "ca_file",
                             "cert",
                             "key",
                             "proxy",
                             "insecure",
                             "credentials",
                             "cloud",
                             "region",
                             "interface",
                             "platform",
                             "redis",
                             "metrics_listen",
                             "glance_conf",
                             "scrub",
                             "passthrough",
                             "uid",
                             "gid",
                             "mode",
                             "allow_other",
                             "log_level",
                             "log_file",
                             "config"})
    EXPECT_THAT(help.out, HasSubstr(std::string("  ") + option)) << option;
  EXPECT_THAT(help.out, HasSubstr("--check-config"));
  CommandResult version = imgcachefs({"-V"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, testing::StartsWith("imgcachefs "));
}

// SEMANTICS: `imgcachefs --check-config` prints what each option is and who says so, or what is
// wrong, and mounts nothing.
TEST(CheckConfig, PrintsWhatIsSoOrSaysWhatIsWrong) {
  TempDir dir;
  const std::string config = dir.write("conf", "max_size = 20G\n");
  const std::string at = dir.path();
  CommandResult right = imgcachefs({"--check-config", kNobody, at, "-o", "config=" + config});
  EXPECT_EQ(right.exit_code, 0) << right.describe();
  EXPECT_THAT(right.out, HasSubstr("20G"));
  EXPECT_THAT(right.out, HasSubstr("# " + config + ":1"));
  EXPECT_EQ(mount_line(at), "");
  const std::string secrets = dir.write("secrets", "token = t\n");
  ::chmod(secrets.c_str(), 0644);
  CommandResult wrong = imgcachefs(
      {"--check-config", kNobody, at, "-o", "config=" + config + ",credentials=" + secrets});
  EXPECT_EQ(wrong.exit_code, 1) << wrong.describe();
  EXPECT_EQ(wrong.out, "");
  EXPECT_THAT(wrong.err, HasSubstr(secrets));
}

}  // namespace
}  // namespace imgcachefs::test
