// SIGHUP: options and secrets are read anew, beliefs are given up, and the mount goes on.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <mutex>
#include <set>

#include "base/posix.h"
#include "mount/registry_faults.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Reloading : public testing::Test {
 protected:
  // With a config file that says `text`.
  void mount(const std::string& text, std::vector<std::string> options = {}) {
    config(text);
    options.push_back("config=" + directory_.file("config"));
    mount_.emplace(MountSpec{.source = server_.url("/images/"), .options = std::move(options)});
  }
  void config(const std::string& text) { directory_.write("config", text); }
  std::string secrets(const std::string& text) {
    const std::string path = directory_.write("secrets", text);
    std::filesystem::permissions(path, std::filesystem::perms::owner_read);
    return path;
  }
  // Until it is over, whatever came of it.
  void reload() {
    const size_t before = reloads();
    ASSERT_EQ(::kill(mount_->pid(), SIGHUP), 0);
    ASSERT_TRUE(wait_until([&] { return reloads() > before; }));
  }
  size_t reloads() const {
    const std::string log = mount_->log();
    size_t count = 0;
    for (size_t at = 0; (at = log.find("the reload is over", at)) != std::string::npos; ++at)
      ++count;
    return count;
  }

  TempDir directory_;
  FaultServer server_;
  std::optional<Mounted> mount_;
};

// SEMANTICS: SIGHUP has the options and the secrets read anew; what is open stays open.
TEST_F(Reloading, TakesANewLoginForTheNextRequest) {
  const std::string bytes = pattern_string(7, 0, 3 << 20);
  server_.put("/images/a", Content::of(bytes));
  server_.put("/images/b", Content::of("others"));
  std::string wanted = "Bearer first";
  std::mutex mutex;
  server_.on_request([&](const Request& request) {
    std::lock_guard lock(mutex);
    return request.header("authorization") == wanted ? Behaviour{} : Behaviour::of_status(401);
  });
  mount("fill = demand\ncredentials = " + secrets("token = first\n") + "\n");
  UniqueFd open(::open(mount_->path("a").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(open);
  std::string first(4096, '\0');
  ASSERT_EQ(::pread(open.get(), first.data(), first.size(), 0), 4096);
  EXPECT_EQ(first, bytes.substr(0, 4096));

  {
    std::lock_guard lock(mutex);
    wanted = "Bearer second";
  }
  EXPECT_EQ(mount_->read_errno("b"), EACCES);
  std::filesystem::remove(directory_.file("secrets"));
  secrets("token = second\n");
  reload();
  EXPECT_EQ(mount_->read_all("b"), "others");
  // The same file, the next of its bytes.
  std::string rest(4096, '\0');
  ASSERT_EQ(::pread(open.get(), rest.data(), rest.size(), 2 << 20), 4096);
  EXPECT_EQ(rest, bytes.substr(2 << 20, 4096));
  EXPECT_THAT(mount_->log(), Not(HasSubstr("second")));
}

// SEMANTICS: After SIGHUP nothing that upstream said before is believed.
TEST_F(Reloading, ForgetsThatThereWasNone) {
  mount("negative_ttl = 1h\n");
  EXPECT_EQ(mount_->read_errno("late"), ENOENT);
  server_.put("/images/late", Content::of("here now"));
  EXPECT_EQ(mount_->read_errno("late"), ENOENT);
  reload();
  EXPECT_EQ(mount_->read_all("late"), "here now");
}

TEST_F(Reloading, AsksWhetherWhatIsCachedIsStillTheSame) {
  server_.put("/images/a", Content::of("before"));
  mount("revalidate = 1h\n");
  EXPECT_EQ(mount_->read_all("a"), "before");
  ASSERT_TRUE(mount_->wait_state("a", "cached"));
  server_.put("/images/a", Content::of("after!"));
  EXPECT_EQ(mount_->read_all("a"), "before");
  reload();
  EXPECT_TRUE(wait_until([&] { return mount_->read_all("a") == "after!"; }));
}

TEST_F(Reloading, ReadsTheCatalogueAnew) {
  const auto listed = [&] {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(mount_->path()))
      names.insert(entry.path().filename());
    return names;
  };
  const auto index = [&](const std::string& name) {
    Content page = Content::of("<html><a href=\"" + name + "\">" + name + "</a></html>");
    page.content_type = "text/html";
    server_.put("/images/", page);
  };
  index("one");
  mount("list = all\nrevalidate = 1h\n");
  EXPECT_EQ(listed(), std::set<std::string>{"one"});
  index("two");
  EXPECT_EQ(listed(), std::set<std::string>{"one"});
  reload();
  EXPECT_TRUE(wait_until([&] { return listed() == std::set<std::string>{"two"}; }));
}

TEST_F(Reloading, TakesNewLimitsAndKeepsThemAtOnce) {
  for (const char* name : {"a", "b", "c"})
    server_.put(std::string("/images/") + name, Content::generated(1 << 20));
  mount("max_size = 10M\n");
  for (const char* name : {"a", "b", "c"}) mount_->read_all(name);
  ASSERT_TRUE(mount_->wait_state("c", "cached"));
  config("max_size = 2M\n");
  reload();
  EXPECT_EQ(mount_->status()["max_size"], 2 << 20);
  EXPECT_TRUE(wait_until([&] { return mount_->status()["used"] <= 2 << 20; }));
  config("");
  reload();
  EXPECT_EQ(mount_->status()["max_size"], 10ULL << 30);  // the default
}

// SEMANTICS: A reload with a mistake in it changes nothing, and the mistake is in the log.
TEST_F(Reloading, WithAMistakeChangesNothing) {
  server_.put("/images/a", Content::of("bytes"));
  mount("max_size = 10M\n");
  for (const std::string mistake :
       {"max_size = 1M\nno_such = 1\n", "max_size = many\n", "max_size = 1M\n[",
        "max_size = 1M\ncredentials = /no/such/file\n"}) {
    config(mistake);
    reload();
    EXPECT_EQ(mount_->status()["max_size"], 10 << 20) << mistake;
  }
  for (const char* said : {"no_such", "'many'", "/no/such/file"})
    EXPECT_THAT(mount_->log(), HasSubstr(said));
  EXPECT_THAT(mount_->log(), HasSubstr("nothing is changed by the new options"));
  EXPECT_EQ(mount_->read_all("a"), "bytes");
}

// SEMANTICS: What cannot change while mounted is told, and waits for the next mount.
TEST_F(Reloading, TellsWhatWaitsForTheNextMount) {
  mount("");
  config("chunk_size = 1M\nfill = full\nmax_size = 3M\n");
  reload();
  for (const char* option : {"chunk_size", "fill"})
    EXPECT_THAT(mount_->log(),
                HasSubstr(std::string("option '") + option + "' changed: it waits for the next"));
  EXPECT_THAT(mount_->log(), Not(HasSubstr("option 'max_size'")));
  EXPECT_EQ(mount_->status()["chunk_size"], 64 << 10);
  EXPECT_EQ(mount_->status()["max_size"], 3 << 20);
}

TEST_F(Reloading, OpensALogFileThatWasMovedAway) {
  mount("log_level = info\n");
  const std::string log = directory_.file("moved");
  const std::string before = mount_->log();
  const std::string path = std::filesystem::path(mount_->path()).parent_path() / "log";
  std::filesystem::rename(path, log);
  ASSERT_EQ(::kill(mount_->pid(), SIGHUP), 0);
  EXPECT_TRUE(
      wait_until([&] { return mount_->log().find("reload is over") != std::string::npos; }));
  EXPECT_EQ(read_file(log).substr(0, before.size()), before);
}

// Where a blob was found is not forgotten while somebody reads it.
TEST_F(RegistryFaults, ABlobThatIsOpenIsReadOnAfterAReload) {
  mount({"fill=demand"});
  UniqueFd open(::open(mount_->path(in("team/vm")).c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(open);
  std::string bytes(4096, '\0');
  ASSERT_EQ(::pread(open.get(), bytes.data(), bytes.size(), 0), 4096);
  ASSERT_EQ(::kill(mount_->pid(), SIGHUP), 0);
  ASSERT_TRUE(
      wait_until([&] { return mount_->log().find("reload is over") != std::string::npos; }));
  const size_t last = bytes_.size() - 4096;
  ASSERT_EQ(::pread(open.get(), bytes.data(), bytes.size(), static_cast<off_t>(last)), 4096);
  EXPECT_TRUE(bytes == bytes_.substr(last));
  EXPECT_TRUE(read(in("team/vm")).bytes == bytes_);
}

}  // namespace
}  // namespace imgcachefs::test
