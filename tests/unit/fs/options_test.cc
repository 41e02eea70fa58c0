// The options of a mount: every way to give one, and who wins (DESIGN 2.1).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "fs/command_line.h"
#include "fs/config_file.h"
#include "fs/option_table.h"
#include "fs/reload.h"
#include "fs/settings.h"

namespace imgcachefs {
namespace {

using namespace std::string_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Environment = std::map<std::string, std::string>;
using Arguments = std::vector<std::string>;

Result<CommandLine> parse(Arguments more, const Environment& environment = {}) {
  Arguments arguments = {"http://host/images/", "/tmp"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return parse_command_line(arguments, environment);
}

MountOptions options(Arguments more, const Environment& environment = {}) {
  auto line = parse(std::move(more), environment);
  EXPECT_TRUE(line) << line.error().message;
  return line ? line->options : MountOptions{};
}

std::string refusal(Arguments more, const Environment& environment = {}) {
  auto line = parse(std::move(more), environment);
  EXPECT_FALSE(line);
  return line ? "" : line.error().message;
}

std::string refused_source(const std::string& source) {
  auto line = parse_command_line({source, "/tmp"}, {});
  EXPECT_FALSE(line) << source;
  return line ? "" : line.error().message;
}

class ConfigFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "imgcachefs-XXXXXX";
    ASSERT_TRUE(::mkdtemp(pattern.data()));
    directory_ = pattern;
    path_ = directory_ + "/conf";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void write(const std::string& text) { std::ofstream(path_) << text; }

  std::string directory_, path_;
};

TEST(Options, DefaultsAreThoseOfTheContract) {
  MountOptions o = options({});
  EXPECT_EQ(o.source, "http://host/images/");
  EXPECT_EQ(o.mountpoint, "/tmp");
  EXPECT_FALSE(o.foreground);
  EXPECT_EQ(o.store.cache_dir, "/var/cache/imgcachefs");
  EXPECT_EQ(o.store.max_size, 10ull << 30);
  EXPECT_EQ(o.store.min_free, 0u);
  EXPECT_EQ(o.store.stall_time.count(), 86400);
  EXPECT_EQ(o.store.janitor_interval.count(), 300);
  EXPECT_EQ(o.store.fill, FillMode::kAuto);
  EXPECT_EQ(o.store.verify, VerifyMode::kComplete);
  EXPECT_EQ(o.store.revalidate, std::chrono::seconds(300));
  EXPECT_EQ(o.store.negative_ttl.count(), 5);
  EXPECT_FALSE(o.store.list_all);
  EXPECT_EQ(o.store.connections, 8u);
  EXPECT_EQ(o.upstream.http.connect_timeout.count(), 10);
  EXPECT_EQ(o.upstream.http.low_speed_limit, 1024u);
  EXPECT_EQ(o.upstream.http.low_speed_time.count(), 30);
  EXPECT_EQ(o.upstream.http.retries, 5u);
  EXPECT_FALSE(o.upstream.http.insecure);
  EXPECT_EQ(o.uid, ::getuid());
  EXPECT_EQ(o.gid, ::getgid());
  EXPECT_EQ(o.mode, 0444u);
  EXPECT_FALSE(o.allow_other);
  EXPECT_EQ(o.log.level, "info");
  EXPECT_TRUE(o.log.background);
}

TEST(Options, AccumulateOverSeveralDashOAndTheLaterWins) {
  MountOptions o = options({"-o", "max_size=1G,fill=full", "-o", "fill=demand,uid=7"});
  EXPECT_EQ(o.store.max_size, 1ull << 30);
  EXPECT_EQ(o.store.fill, FillMode::kDemand);
  EXPECT_EQ(o.uid, 7u);
  EXPECT_EQ(options({"-o", "max_size=1G,max_size=2G"}).store.max_size, 2ull << 30);
}

std::string effective(Arguments arguments, const Environment& environment = {}) {
  arguments.insert(arguments.begin(), "--check-config");
  auto line = parse_command_line(arguments, environment);
  EXPECT_TRUE(line) << line.error().message;
  if (!line) return "";
  EXPECT_EQ(line->action, CommandLine::Action::kCheckConfig);
  return line->effective;
}

// "name value origin" of an option.
std::string effective_line(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first, equals, value, word, origin;
    words >> first >> equals;
    while (words >> word && word != "#") value += value.empty() ? word : " " + word;
    std::getline(words >> std::ws, origin);
    if (first == name && equals == "=") return value + " " + origin;
  }
  return "";
}

TEST_F(ConfigFile, IsCheckedAndWhatEachOptionIsInTheEndIsPrinted) {
  write("max_size = 1G\nuid = 7\n[/tmp]\nfill = demand\nmin_free = 5G\n");
  const std::string text =
      effective({"http://h/", "/tmp", "-o", "uid=8,config=" + path_, "--min-free=2G"},
                {{"IMGCACHEFS_MODE", "0440"}});
  EXPECT_EQ(effective_line(text, "max_size"), "1G " + path_ + ":1");
  EXPECT_EQ(effective_line(text, "fill"), "demand " + path_ + ":4");
  EXPECT_EQ(effective_line(text, "uid"), "8 -o");
  EXPECT_EQ(effective_line(text, "min_free"), "2G command line");
  EXPECT_EQ(effective_line(text, "mode"), "0440 environment: IMGCACHEFS_MODE");
  EXPECT_EQ(effective_line(text, "negative_ttl"), "5 default");
  for (const Option& option : option_table())
    EXPECT_NE(effective_line(text, std::string(option.name)), "") << option.name;
}

TEST_F(ConfigFile, IsCheckedWithoutAMountToo) {
  write("max_size = 1G\n");
  EXPECT_EQ(effective_line(effective({"-o", "config=" + path_}), "max_size"), "1G " + path_ + ":1");
  write("max_size = lots\n");
  auto line = parse_command_line({"--check-config", "-o", "config=" + path_}, {});
  ASSERT_FALSE(line);
  EXPECT_THAT(line.error().message, AllOf(HasSubstr(path_ + ":1"), HasSubstr("lots")));
  EXPECT_FALSE(parse_command_line({"--check-config", "http://h/"}, {}));
}

TEST(Options, AreShownWithoutTheirSecrets) {
  for (const char* proxy : {"http://me:secret@p:3128", "me:secret@p:3128"})
    EXPECT_THAT(effective({std::string("--proxy=") + proxy}),
                AllOf(HasSubstr("p:3128"), Not(HasSubstr("secret"))));
}

TEST(Options, MayStandBeforeTheSource) {
  auto line = parse_command_line({"-f", "-o", "fill=full", "http://h/", "/tmp"}, {});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_TRUE(line->options.foreground);
  EXPECT_EQ(line->options.source, "http://h/");
  EXPECT_EQ(line->options.store.fill, FillMode::kFull);
}

TEST(Options, UnderscoreAndDashAreTheSame) {
  EXPECT_EQ(options({"-o", "max-size=3G"}).store.max_size, 3ull << 30);
  EXPECT_EQ(options({"--max-size=3G"}).store.max_size, 3ull << 30);
  EXPECT_EQ(options({"--max_size", "3G"}).store.max_size, 3ull << 30);
}

TEST(Options, EveryOneIsALongOptionToo) {
  for (const Option& option : option_table()) {
    std::string message = option.takes == Option::Takes::kFlag
                              ? refusal({"--" + std::string(option.name), "--no-such"})
                              : refusal({"--" + std::string(option.name) + "=x", "--no-such"});
    EXPECT_THAT(message, HasSubstr("'--no-such'")) << option.name;
  }
}

TEST(Options, CommaInAValueIsEscaped) {
  EXPECT_EQ(options({"-o", R"(cache_dir=/a\,b,uid=3)"}).store.cache_dir, "/a,b");
  EXPECT_EQ(options({"--cache-dir=/a,b"}).store.cache_dir, "/a,b");
  EXPECT_EQ(split_options(R"(a\,b,,c\d,\,)"), (Arguments{"a,b", R"(c\d)", ","}));
}

TEST(Options, FlagsStandAloneOrWithAValue) {
  EXPECT_TRUE(options({"-o", "allow_other"}).allow_other);
  for (const char* yes : {"true", "1", "yes"})
    EXPECT_TRUE(options({"-o", std::string("allow_other=") + yes}).allow_other) << yes;
  for (const char* no : {"false", "0", "no"})
    EXPECT_FALSE(options({"-o", std::string("allow-other=") + no}).allow_other) << no;
  EXPECT_TRUE(options({"--insecure"}).upstream.http.insecure);
  EXPECT_TRUE(options({"--insecure=true"}).upstream.http.insecure);
  EXPECT_FALSE(options({"--insecure=no", "-o", "insecure"}).upstream.http.insecure);
  EXPECT_THAT(refusal({"-o", "insecure=maybe"}), AllOf(HasSubstr("insecure"), HasSubstr("maybe")));
  // A flag does not swallow what follows it.
  auto line = parse_command_line({"--insecure", "http://h/", "/tmp"}, {});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->options.source, "http://h/");
}

TEST(Options, OfFstabThatAreNotOursAreAccepted) {
  options({"-o",
           "rw,ro,defaults,auto,noauto,user,nouser,users,owner,group,dev,nodev,suid,nosuid,exec,"
           "noexec,atime,noatime,relatime,_netdev,nofail,x-systemd.automount,x-a=b,comment=what"});
  EXPECT_THAT(refusal({"--defaults"}), HasSubstr("--defaults"));  // in -o only
}

TEST(Options, UnknownOnesAreRefusedAndNamed) {
  EXPECT_THAT(refusal({"-o", "uid=1,no_such=5"}), AllOf(HasSubstr("no_such"), HasSubstr("-o")));
  EXPECT_THAT(refusal({"--no-such"}), AllOf(HasSubstr("--no-such"), HasSubstr("command line")));
  EXPECT_THAT(refusal({"-x"}), HasSubstr("-x"));
  EXPECT_THAT(refusal({"/third"}), HasSubstr("/third"));
}

TEST(Options, BadValuesAreRefusedWithOptionValueAndOrigin) {
  EXPECT_THAT(refusal({"-o", "max_size=lots"}),
              AllOf(HasSubstr("max_size"), HasSubstr("lots"), HasSubstr("-o")));
  EXPECT_THAT(refusal({"--fill=some"}),
              AllOf(HasSubstr("fill"), HasSubstr("some"), HasSubstr("command line")));
  EXPECT_THAT(refusal({}, {{"IMGCACHEFS_RETRIES", "x"}}),
              AllOf(HasSubstr("retries"), HasSubstr("'x'"), HasSubstr("IMGCACHEFS_RETRIES")));
  // One that loses is still wrong.
  EXPECT_THAT(refusal({"--fill=full", "-o", "fill=some"}), HasSubstr("some"));
  for (const char* bad :
       {"chunk_size=5K", "chunk_size=2K", "chunk_size=128M", "connections=0", "list=some",
        "verify=never", "revalidate=x", "mode=999", "mode=1777", "uid=no-such-user", "uid=-1",
        "log_level=loud", "janitor_interval=0", "passthrough=on", "scrub=x",
        "cache_dir=", "retries=-1", "max_size=-1", "stall_time=1w"})
    EXPECT_FALSE(parse({"-o", bad})) << bad;
  EXPECT_THAT(refusal({"-o", "max_size"}), AllOf(HasSubstr("max_size"), HasSubstr("value")));
}

TEST(Options, ValuesAreUnderstood) {
  EXPECT_EQ(options({"-o", "chunk_size=1M"}).store.chunk_size, 1u << 20);
  EXPECT_EQ(options({"-o", "revalidate=never"}).store.revalidate, std::nullopt);
  EXPECT_EQ(options({"-o", "revalidate=5m"}).store.revalidate, std::chrono::seconds(300));
  EXPECT_EQ(options({"-o", "verify=before-read"}).store.verify, VerifyMode::kBeforeRead);
  EXPECT_TRUE(options({"-o", "list=all"}).store.list_all);
  EXPECT_EQ(options({"-o", "mode=0640"}).mode, 0440u);  // the mount is read-only
  EXPECT_EQ(options({"-o", "mode=400"}).mode, 0400u);
  EXPECT_EQ(options({"-o", "uid=root,gid=root"}).uid, 0u);
  EXPECT_EQ(options({"-o", "limit_rate=2M"}).store.limit_rate, 2u << 20);
  EXPECT_EQ(options({"-o", "limit_rate=none"}).store.limit_rate, 0u);
  EXPECT_FALSE(options({"-o", "passthrough=off"}).passthrough);
  EXPECT_EQ(options({"-o", "scrub=off,log_level=debug"}).log.level, "debug");
  EXPECT_EQ(options({"-d"}).log.level, "debug");
  EXPECT_TRUE(options({"-d"}).foreground);
  EXPECT_FALSE(options({"-f"}).log.background);
}

TEST(Options, PathsAreMadeAbsoluteForTheDaemonLeavesTheDirectory) {
  const std::string here = std::filesystem::current_path();
  MountOptions o = options({"-o", "cache_dir=c/./d/,log_file=l,ca_file=x,cert="});
  EXPECT_EQ(o.store.cache_dir, here + "/c/d");
  EXPECT_EQ(o.log.file, here + "/l");
  EXPECT_EQ(o.upstream.http.ca_file, here + "/x");
  EXPECT_EQ(o.upstream.http.cert, "");
}

TEST(Options, WhatThisVersionCannotDoIsRefusedNotIgnored) {
  EXPECT_THAT(refusal({"-o", "scrub=7d"}), HasSubstr("not supported by this version"));
}

TEST(Options, WhereMetricsAreShown) {
  EXPECT_EQ(options({}).metrics_listen, std::nullopt);
  const auto address = options({"-o", "metrics_listen=[::1]:9109"}).metrics_listen;
  ASSERT_TRUE(address);
  EXPECT_EQ(address->host, "::1");
  EXPECT_EQ(address->port, 9109);
  EXPECT_EQ(options({"-o", "metrics_listen="}).metrics_listen, std::nullopt);
  EXPECT_THAT(refusal({"-o", "metrics_listen=:9109"}), HasSubstr("metrics_listen"));
}

TEST(Options, WhereGlanceIsInACatalogue) {
  MountOptions o = options({"-o", "cloud=c,region=r,interface=internalURL"});
  EXPECT_EQ(o.cloud, "c");
  EXPECT_EQ(o.upstream.region, "r");
  EXPECT_EQ(o.upstream.interface_, "internal");
  EXPECT_THAT(refusal({"-o", "interface=private"}), HasSubstr("public, internal or admin"));
}

// Which there are, and what becomes of others, is for the cache to say.
TEST(Options, AnyIndexDriverMayBeAskedFor) {
  EXPECT_EQ(options({}).store.driver, "sqlite");
  EXPECT_EQ(options({"-o", "driver=xattr"}).store.driver, "xattr");
  EXPECT_EQ(options({"-o", "driver=centralized_db"}).store.driver, "centralized_db");
}

TEST(Options, EnvironmentIsBelowDashOAndTheCommandLineIsAbove) {
  Environment environment = {{"IMGCACHEFS_MAX_SIZE", "1G"}, {"PATH", "/bin"}};
  EXPECT_EQ(options({}, environment).store.max_size, 1ull << 30);
  EXPECT_EQ(options({"-o", "max_size=2G"}, environment).store.max_size, 2ull << 30);
  EXPECT_EQ(options({"--max-size=3G", "-o", "max_size=2G"}, environment).store.max_size,
            3ull << 30);
  EXPECT_TRUE(options({}, {{"IMGCACHEFS_ALLOW_OTHER", "1"}}).allow_other);
}

TEST(Options, VariablesThatAreNoOptionsAreWarnedOf) {
  MountOptions o = options({}, {{"IMGCACHEFS_NO_SUCH", "1"}});
  ASSERT_EQ(o.warnings.size(), 1u);
  EXPECT_THAT(o.warnings[0], HasSubstr("IMGCACHEFS_NO_SUCH"));
}

TEST_F(ConfigFile, IsBelowTheEnvironment) {
  write("max_size = 1G\nuid = 9\n");
  Environment environment = {{"IMGCACHEFS_CONFIG", path_}, {"IMGCACHEFS_UID", "8"}};
  EXPECT_EQ(options({}, environment).store.max_size, 1ull << 30);
  EXPECT_EQ(options({}, environment).uid, 8u);
  EXPECT_EQ(options({"-o", "config=" + path_ + ",uid=7"}).uid, 7u);
  EXPECT_EQ(options({"--config", path_}).uid, 9u);
}

TEST_F(ConfigFile, HasASectionPerMountPoint) {
  write(
      "# all of them\n"
      "fill = full\n"
      "max-size=1G\n"
      "\n"
      "[/elsewhere]\n"
      "fill = auto\n"
      "what-a-later-version = knows\n"
      "[ /tmp/ ]\n"
      "; ours\n"
      "  fill = demand  \n"
      "insecure\n");
  MountOptions o = options({"-o", "config=" + path_});
  EXPECT_EQ(o.store.fill, FillMode::kDemand);
  EXPECT_EQ(o.store.max_size, 1ull << 30);
  EXPECT_TRUE(o.upstream.http.insecure);
}

TEST_F(ConfigFile, SaysWhatIsMountedWhereTheCommandLineDoesNot) {
  write("source = http://h/d/\nmountpoint = /tmp\nuid = 1\n[/tmp]\nuid = 2\n[/srv]\nuid = 3\n");
  auto line = parse_command_line({"--config=" + path_}, {});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_EQ(line->options.source, "http://h/d/");
  EXPECT_EQ(line->options.mountpoint, "/tmp");
  EXPECT_EQ(line->options.uid, 2u);
  auto other = parse_command_line({"http://o/", "/srv", "--config=" + path_}, {});
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(other->options.source, "http://o/");
  EXPECT_EQ(other->options.uid, 3u);
  // Half of it from here and half of it from there is a mistake of somebody's.
  EXPECT_FALSE(parse_command_line({"http://o/", "--config=" + path_}, {}));
}

TEST_F(ConfigFile, SaysWhatIsMountedOutsideOfSections) {
  write("[/tmp]\nsource = http://h/\n");
  EXPECT_THAT(refusal({"-o", "config=" + path_}), AllOf(HasSubstr("conf:2"), HasSubstr("source")));
  write("source\n");
  EXPECT_THAT(refusal({"-o", "config=" + path_}), AllOf(HasSubstr("conf:1"), HasSubstr("value")));
}

TEST(Options, OfAReloadExist) {
  size_t at_once = 0;
  for (const Option& option : option_table()) at_once += changes_while_mounted(option.name);
  EXPECT_EQ(at_once, 23u);  // as many as its list has
}

TEST_F(ConfigFile, MistakesAreNamedWithTheirLine) {
  auto message = [&](const std::string& text) {
    write(text);
    return refusal({"-o", "config=" + path_});
  };
  EXPECT_THAT(message("uid=1\nno_such = 3\n"), AllOf(HasSubstr("no_such"), HasSubstr("conf:2")));
  EXPECT_THAT(message("uid=x\n"), AllOf(HasSubstr("uid"), HasSubstr("'x'"), HasSubstr("conf:1")));
  EXPECT_THAT(message("[/tmp\n"), HasSubstr("conf:1"));
  EXPECT_THAT(message("= 3\n"), HasSubstr("conf:1"));
  EXPECT_THAT(message("config = /other\n"), HasSubstr("config"));
  EXPECT_THAT(refusal({"-o", "config=/no/such/file"}), HasSubstr("/no/such/file"));
  EXPECT_THAT(refusal({"-o", "config"}), HasSubstr("config"));
}

TEST(Source, IsADirectoryOrGlanceOrARegistry) {
  using Kind = Source::Kind;
  auto meaning = [](const char* text) {
    auto line = parse_command_line({text, "/tmp"}, {});
    EXPECT_TRUE(line) << text;
    return line ? std::pair(line->options.where.kind, line->options.where.url)
                : std::pair(Kind::kDirectory, std::string());
  };
  EXPECT_EQ(meaning("http://h/"), std::pair(Kind::kDirectory, "http://h/"s));
  EXPECT_EQ(meaning("https://h"), std::pair(Kind::kDirectory, "https://h/"s));
  EXPECT_EQ(meaning("http://h:8080/a/b"), std::pair(Kind::kDirectory, "http://h:8080/a/b/"s));
  EXPECT_EQ(meaning("http://[::1]:80/x/"), std::pair(Kind::kDirectory, "http://[::1]:80/x/"s));
  EXPECT_EQ(meaning("glance+http://h:9292"), std::pair(Kind::kGlance, "http://h:9292"s));
  EXPECT_EQ(meaning("glance+https://h/image/"), std::pair(Kind::kGlance, "https://h/image"s));
  EXPECT_EQ(meaning("glance+https://h/image/v2/"), std::pair(Kind::kGlance, "https://h/image"s));
  EXPECT_EQ(meaning("glance:"), std::pair(Kind::kCataloguedGlance, ""s));
  EXPECT_EQ(meaning("glance:https://keystone/v3"),
            std::pair(Kind::kCataloguedGlance, "https://keystone"s));
  EXPECT_EQ(meaning("oci+http://h:5000"), std::pair(Kind::kRegistry, "http://h:5000"s));
  EXPECT_EQ(meaning("oci+https://H:443/"), std::pair(Kind::kRegistry, "https://h"s));
  EXPECT_EQ(meaning("oci+https://[::1]:5000"), std::pair(Kind::kRegistry, "https://[::1]:5000"s));
  EXPECT_EQ(meaning("oci+https://docker.io"),
            std::pair(Kind::kRegistry, "https://registry-1.docker.io"s));
  for (const char* path : {"oci+https://h/team/vm", "oci+http://h:5000/v2/"})
    EXPECT_THAT(refused_source(path), HasSubstr("mounted as a whole"));
  for (const char* bad : {"ftp://h/",
                          "h/d",
                          "/dir",
                          "http://",
                          "http:///x",
                          "http://:80/",
                          "http://h/?q=1",
                          "http://h/#f",
                          "http://h/a b/",
                          "http://h/\n",
                          "glance+ftp://h",
                          "glance+http://",
                          "glance:keystone",
                          "glance+http://u:p@h",
                          "glance",
                          "oci:",
                          "oci+",
                          "oci+ftp://h",
                          "oci+http://",
                          "oci+http://h:0",
                          "oci+http://h:x",
                          "oci+http://h?q",
                          "oci+http://u:p@h"})
    refused_source(bad);
}

TEST(Source, WithAPasswordIsRefusedWithoutRepeatingIt) {
  std::string message = refused_source("http://me:s3cret@host/images/");
  EXPECT_THAT(message, HasSubstr("credentials=FILE"));
  EXPECT_THAT(message, testing::Not(HasSubstr("s3cret")));
}

TEST(CommandLine, NeedsSourceAndMountPoint) {
  EXPECT_FALSE(parse_command_line({}, {}));
  EXPECT_FALSE(parse_command_line({"http://h/"}, {}));
}

TEST(CommandLine, HelpAndVersionNeedNothingElse) {
  EXPECT_EQ(parse_command_line({"-h"}, {})->action, CommandLine::Action::kHelp);
  EXPECT_EQ(parse_command_line({"--help"}, {})->action, CommandLine::Action::kHelp);
  EXPECT_EQ(parse_command_line({"-V"}, {})->action, CommandLine::Action::kVersion);
  EXPECT_EQ(version_text(), "imgcachefs " IMGCACHEFS_VERSION "\n");
  for (const Option& option : option_table())
    EXPECT_THAT(help_text(), AllOf(HasSubstr(std::string(option.name)),
                                   HasSubstr("[" + std::string(option.standard) + "]")));
}

}  // namespace
}  // namespace imgcachefs
