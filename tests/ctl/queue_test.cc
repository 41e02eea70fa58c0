// The verbs of imgcachectl that queue, wait, pin and verify: on real directories, and with a real
// mount over servers that are well and that are not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cache/image_queue.h"
#include "cache/index_driver.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"
#include "support/scratch_cache.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

constexpr uint64_t kMiB = 1 << 20;

std::vector<std::string> ids(const json& images) {
  std::vector<std::string> out;
  for (const json& image : images) out.push_back(image["image_id"]);
  return out;
}

std::vector<std::string> results(const json& report) {
  std::vector<std::string> out;
  for (const json& image : report["images"]) out.push_back(image["result"]);
  return out;
}

// On a directory that no daemon has, with the index of a driver.
class QueueVerbs : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    layout_.emplace(CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value());
    index_ = open_index(*layout_, GetParam()).value();
    ASSERT_EQ(index_->driver(), GetParam());
    ASSERT_TRUE(index_->set_source("http://host/"));  // by this a directory is known as one of ours
    layout_.emplace(CacheLayout::open(cache_.dir(), CacheLayout::Access::kTool).value());
  }
  CommandResult ctl(std::vector<std::string> args) {
    args.insert(args.begin(), {built("imgcachectl"), "-c", cache_.dir()});
    return run(args);
  }
  json ctl_json(std::vector<std::string> args, int exit_code = 0) {
    args.push_back("--json");
    CommandResult result = ctl(std::move(args));
    EXPECT_EQ(result.exit_code, exit_code) << result.describe();
    return json::parse(result.out, nullptr, false);
  }
  void cached(const std::string& name, const std::string& bytes, std::optional<Digest> checksum,
              bool verified = false) {
    cache_.file(name, 0);
    std::ofstream(cache_.path(name), std::ios::binary) << bytes;
    IndexRecord record{ImageId::parse(name).value(),
                       bytes.size(),
                       3,
                       from_unix(1795149000),
                       from_unix(1795149842),
                       checksum,
                       verified,
                       {},
                       false};
    ASSERT_TRUE(index_->put(record));
  }
  static Digest sha256(const std::string& bytes) {
    return Digest::parse(DigestAlgo::kSha256, hex_digest(bytes)).value();
  }
  std::optional<IndexRecord> row(const std::string& name) {
    return index_->find(ImageId::parse(name).value()).value();
  }

  ScratchCache cache_;
  std::optional<CacheLayout> layout_;
  std::unique_ptr<CacheIndex> index_;
};

TEST_P(QueueVerbs, QueueSaysWhatBecameOfEach) {
  cached("there", "x", std::nullopt);
  cache_.file("incomplete/looked-at", 4096);
  json report = ctl_json({"queue", "b", "there", "a", "b", "looked-at"});
  EXPECT_THAT(results(report),
              ElementsAre("queued", "cached already", "queued", "queued already", "queued"));
  EXPECT_THAT(ids(ctl_json({"list", "--queued"})), ElementsAre("b", "a", "looked-at"));
  CommandResult again = ctl({"queue", "a", "new"});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_EQ(again.out, "a: queued already\nnew: queued\n");
  EXPECT_THAT(again.err, HasSubstr("no imgcachefs has this cache mounted"));
}

TEST_P(QueueVerbs, UnqueueTakesOutAndSays3ForWhatIsNotQueued) {
  ctl({"queue", "a", "b", "c"});
  EXPECT_EQ(ctl({"unqueue", "b"}).out, "b: unqueued\n");
  json report = ctl_json({"unqueue", "b", "a"}, 3);
  EXPECT_THAT(ids(report["images"]), ElementsAre("a"));
  EXPECT_THAT(ids(report["errors"]), ElementsAre("b"));
  EXPECT_THAT(ids(ctl_json({"unqueue", "--all"})["images"]), ElementsAre("c"));
  EXPECT_EQ(ctl({"unqueue", "--all"}).exit_code, 0);
  EXPECT_THAT(ctl_json({"list", "--queued"}), IsEmpty());
  EXPECT_EQ(ctl({"unqueue"}).exit_code, 2);
  EXPECT_EQ(ctl({"unqueue", "--all", "a"}).exit_code, 2);
}

TEST_P(QueueVerbs, ListQueuedWithoutAMountKnowsNoErrors) {
  ctl({"queue", "a"});
  json entry = ctl_json({"list", "--queued"})[0];
  EXPECT_EQ(entry["attempts"], nullptr);
  EXPECT_EQ(entry["error"], nullptr);
  EXPECT_EQ(entry["state"], "queued");
}

TEST_P(QueueVerbs, PrefetchWithoutADaemonFailsAndSaysSo) {
  CommandResult result = ctl({"prefetch", "a"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("no imgcachefs has it mounted"));
  EXPECT_FALSE(cache_.has("queue/a"));
  // A daemon whose mount cannot be seen from here.
  auto daemon = CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value();
  CommandResult hidden = ctl({"prefetch", "a"});
  EXPECT_EQ(hidden.exit_code, 1);
  EXPECT_THAT(hidden.err, HasSubstr("cannot see it"));
}

TEST_P(QueueVerbs, PinsAndUnpins) {
  cached("a", "x", std::nullopt);
  EXPECT_EQ(ctl({"pin", "a"}).out, "a: pinned\n");
  EXPECT_EQ(ctl_json({"info", "a"})["pinned"], true);
  EXPECT_EQ(ctl({"evict", "a"}).exit_code, 7);
  EXPECT_EQ(ctl_json({"prune", "--max-size", "0"})["files"], 0);
  json unpinned = ctl_json({"unpin", "a"});
  EXPECT_EQ(unpinned["images"][0]["pinned"], false);
  EXPECT_EQ(ctl({"evict", "a"}).exit_code, 0);
  EXPECT_EQ(ctl({"pin", "a"}).exit_code, 3);
  EXPECT_EQ(ctl({"unpin", "a"}).exit_code, 3);
  EXPECT_EQ(ctl({"pin"}).exit_code, 2);
}

TEST_P(QueueVerbs, PinsWhatGlanceCachedWithoutARow) {
  cache_.file("a", 10);
  EXPECT_EQ(ctl({"pin", "a"}).exit_code, 0);
  EXPECT_TRUE(row("a")->pinned);
}

TEST_P(QueueVerbs, VerifyRecordsWhatIsRight) {
  const std::string bytes = pattern_string(1, 0, 3 * kMiB + 17);
  cached("a", bytes, sha256(bytes));
  cached("empty", "", sha256(""));
  json report = ctl_json({"verify", "a", "empty"});
  EXPECT_THAT(results(report), ElementsAre("verified", "verified"));
  EXPECT_EQ(report["images"][0]["checksum"], sha256(bytes).tagged());
  EXPECT_TRUE(row("a")->verified);
  EXPECT_EQ(row("a")->hits, 3u);  // the rest of the row stays
  EXPECT_EQ(row("a")->last_accessed, from_unix(1795149842));
}

TEST_P(QueueVerbs, VerifyMovesWhatIsWrongToInvalid) {
  const std::string right = pattern_string(1, 0, 2 * kMiB + 5);
  std::string wrong = right;
  wrong[wrong.size() - 1] ^= 1;
  cached("flipped", wrong, sha256(right), true);
  cached("short", right.substr(0, kMiB), sha256(right), true);
  cached("good", right, sha256(right), true);
  InUse reader(cache_.path("flipped"));
  CommandResult result = ctl({"verify", "nothing", "flipped", "good", "short"});
  EXPECT_EQ(result.exit_code, 4) << result.describe();  // before the 3 of `nothing`
  EXPECT_THAT(result.err, HasSubstr("flipped: wrong checksum"));
  EXPECT_THAT(result.err, HasSubstr("nothing: not cached"));
  EXPECT_EQ(result.out, "good: verified\n");
  for (const char* bad : {"flipped", "short"}) {
    EXPECT_FALSE(cache_.has(bad));
    EXPECT_TRUE(cache_.has(std::string("invalid/") + bad));
    EXPECT_FALSE(row(bad));
    UniqueFd fd(::open(cache_.path(std::string("invalid/") + bad).c_str(), O_RDONLY));
    EXPECT_THAT(posix::get_xattr(fd.get(), "user.error").value().value_or("none"),
                HasSubstr("wrong checksum: sha256:"));
  }
  EXPECT_TRUE(cache_.has("good"));
  const json invalid = ctl_json({"list", "--invalid"});
  ASSERT_EQ(invalid.size(), 2u);
  EXPECT_THAT(invalid[0]["error"].get<std::string>(), HasSubstr("wrong checksum: sha256:"));
  EXPECT_THAT(ctl({"list", "--invalid"}).out, HasSubstr("wrong checksum: sha256:"));
}

TEST_P(QueueVerbs, VerifyNeedsAnImageAndAChecksum) {
  EXPECT_EQ(ctl({"verify", "nothing"}).exit_code, 3);
  cached("unknown", "x", std::nullopt);
  cached("good", "y", sha256("y"));
  CommandResult named = ctl({"verify", "unknown"});
  EXPECT_EQ(named.exit_code, 1);
  EXPECT_THAT(named.err, HasSubstr("no checksum is known"));
  for (auto args : {std::vector<std::string>{"verify"}, {"verify", "--all"}}) {
    json report = ctl_json(args);
    EXPECT_THAT(results(report), ElementsAre("verified", "skipped: no checksum is known for it"));
  }
  EXPECT_EQ(ctl({"verify", "--all", "good"}).exit_code, 2);
}

TEST_P(QueueVerbs, VerifyLeavesTheAccessTime) {
  const std::string bytes = "some bytes";
  cached("a", bytes, sha256(bytes));
  cache_.touch("a", 100000s);
  struct stat before, after;
  ASSERT_EQ(::stat(cache_.path("a").c_str(), &before), 0);
  EXPECT_EQ(ctl({"verify", "a"}).exit_code, 0);
  ASSERT_EQ(::stat(cache_.path("a").c_str(), &after), 0);
  EXPECT_EQ(before.st_atim.tv_sec, after.st_atim.tv_sec);
}

INSTANTIATE_TEST_SUITE_P(Drivers, QueueVerbs, testing::Values("sqlite", "xattr"),
                         [](const auto& info) { return std::string(info.param); });

// With a mount.
class Prefetching : public testing::Test {
 protected:
  void mount(std::vector<std::string> options = {}, const std::string& path = "/images/") {
    options.insert(options.begin(), {"retries=0", "connect_timeout=2", "low_speed_time=2"});
    mount_.emplace(MountSpec{.source = server_.url(path), .options = std::move(options)});
  }
  std::string put(const std::string& id, uint64_t size, bool with_checksum = true) {
    const std::string bytes = pattern_string(std::hash<std::string>()(id), 0, size);
    Content content = Content::of(bytes);
    if (with_checksum) content.headers.emplace_back("Repr-Digest", repr_digest(bytes));
    server_.put("/images/" + id, std::move(content));
    return bytes;
  }
  CommandResult ctl(std::vector<std::string> args) {
    args.insert(args.begin(), {built("imgcachectl"), "-m", mount_->path()});
    return run(args);
  }
  json ctl_json(std::vector<std::string> args, int exit_code = 0) {
    args.push_back("--json");
    CommandResult result = ctl(std::move(args));
    EXPECT_EQ(result.exit_code, exit_code) << result.describe();
    return json::parse(result.out, nullptr, false);
  }
  bool has(const std::string& name) const { return fs::exists(mount_->cache_dir() + "/" + name); }

  FaultServer server_;
  std::optional<Mounted> mount_;
};

// SEMANTICS: What is queued is taken up within 2 seconds, oldest first, and leaves the queue when
// it is cached.
TEST_F(Prefetching, TheDaemonTakesUpWhatIsQueued) {
  for (const char* id : {"d", "c", "b", "a"}) put(id, kMiB);
  mount();
  const auto queued_at = std::chrono::steady_clock::now();
  EXPECT_EQ(ctl({"queue", "d", "c", "b", "a"}).exit_code, 0);
  ASSERT_TRUE(server_.wait_for({.method = "", .path = "/images/d"}, 1, 10s));
  EXPECT_LT(std::chrono::steady_clock::now() - queued_at, 5s);  // 2 s, on an idle machine
  EXPECT_TRUE(wait_until([&] { return has("a") && has("b") && has("c") && has("d"); }));
  EXPECT_TRUE(wait_until([&] { return fs::is_empty(mount_->cache_dir() + "/queue"); }));
  std::vector<std::string> first;
  for (const Request& request : server_.requests())
    if (request.path != "/images/" && !request.path.ends_with("SUMS"))
      first.push_back(request.path);
  ASSERT_FALSE(first.empty());
  // Three are fetched at once, in any order; the youngest has to wait for one of them.
  EXPECT_NE(first.front(), "/images/a");
  EXPECT_EQ(mount_->status()["misses"], 0);
  EXPECT_EQ(mount_->xattr("a", "hits"), "0");
  EXPECT_EQ(mount_->xattr("a", "verified"), "1");
}

TEST_F(Prefetching, EndsWith0WhenAllIsCachedAndVerified) {
  const std::string bytes = put("a", 5 * kMiB + 3);
  put("b", kMiB);
  mount();
  CommandResult result = ctl({"prefetch", "a", "b", "a"});
  EXPECT_EQ(result.exit_code, 0) << result.describe();
  EXPECT_THAT(result.out, HasSubstr("a: cached and verified\n"));
  EXPECT_THAT(result.out, HasSubstr("b: cached and verified\n"));
  EXPECT_EQ(mount_->read_all("a"), bytes);
  json again = ctl_json({"prefetch", "a"});
  EXPECT_EQ(again["images"][0]["size"], 5 * kMiB + 3);
  EXPECT_EQ(again["images"][0]["verified"], true);
  EXPECT_THAT(again["errors"], IsEmpty());
}

TEST_F(Prefetching, WorksWithARealServerAndItsChecksumList) {
  TempDir dir;
  const std::string bytes = pattern_string(5, 0, 3 * kMiB);
  dir.write("image", bytes);
  dir.write("SHA256SUMS", sums_line("image", bytes));
  Nginx nginx(dir.path());
  mount_.emplace(MountSpec{.source = nginx.url(), .options = {}});
  EXPECT_EQ(ctl({"prefetch", "image"}).exit_code, 0);
  EXPECT_EQ(nginx.sent_bytes("/image"), bytes.size());
  EXPECT_EQ(mount_->read_all("image"), bytes);
}

TEST_F(Prefetching, NoSuchImageIs3AndLeavesTheQueue) {
  put("a", 1000);
  mount();
  CommandResult result = ctl({"prefetch", "missing", "a"});
  EXPECT_EQ(result.exit_code, 3) << result.describe();
  EXPECT_THAT(result.err, HasSubstr("missing"));
  EXPECT_EQ(result.out, "a: cached and verified\n");  // the others are worked on all the same
  EXPECT_FALSE(has("queue/missing"));
  // But not what somebody else had queued.
  ctl({"queue", "missing"});
  EXPECT_EQ(ctl({"prefetch", "missing"}).exit_code, 3);
  EXPECT_TRUE(has("queue/missing"));
}

TEST_F(Prefetching, AWrongChecksumIs4) {
  Content content = Content::of("these bytes");
  content.headers.emplace_back("Repr-Digest", repr_digest("other bytes"));
  server_.put("/images/bad", std::move(content));
  mount();
  json report = ctl_json({"prefetch", "missing", "bad"}, 4);
  EXPECT_THAT(ids(report["errors"]), testing::UnorderedElementsAre("missing", "bad"));
  EXPECT_TRUE(has("invalid/bad"));
  EXPECT_FALSE(has("bad"));
  EXPECT_TRUE(has("queue/bad"));
}

// SEMANTICS: What is queued and cannot be cached stays queued and is tried again, after pauses that
// grow.
TEST_F(Prefetching, AnUpstreamThatIsDownOrRefusesIs5AndItStaysQueued) {
  put("a", kMiB);
  mount();
  server_.fault(Behaviour::of_status(503), {.method = "", .path = "/images/a"}, 0);
  CommandResult down = ctl({"prefetch", "a"});
  EXPECT_EQ(down.exit_code, 5) << down.describe();
  EXPECT_THAT(down.err, HasSubstr("it stays queued"));
  json entry = ctl_json({"list", "--queued"})[0];
  EXPECT_EQ(entry["image_id"], "a");
  EXPECT_GE(entry["attempts"], 1);
  EXPECT_EQ(entry["kind"], "unavailable");
  EXPECT_THAT(entry["error"].get<std::string>(), HasSubstr("503"));
  EXPECT_THAT(ctl({"list", "--queued"}).out, HasSubstr("503"));
  server_.clear_faults();
  server_.fault(Behaviour::of_status(403), {.method = "", .path = "/images/a"}, 0);
  EXPECT_EQ(ctl({"prefetch", "a"}).exit_code, 5);
  server_.clear_faults();
  // Who waits for it need not wait for the end of the pause; and else it comes by itself.
  EXPECT_EQ(ctl({"prefetch", "a"}).exit_code, 0);
  EXPECT_FALSE(has("queue/a"));
}

// SEMANTICS: What is queued is not fetched when there is no room for all of it.
TEST_F(Prefetching, NoSpaceIs6AndNothingIsFetched) {
  put("big", 3 * kMiB);
  mount({"max_size=2M"});
  CommandResult result = ctl({"prefetch", "big"});
  EXPECT_EQ(result.exit_code, 6) << result.describe();
  EXPECT_EQ(server_.sent_bytes("/images/big"), 0u);
  EXPECT_TRUE(has("queue/big"));
  put("small", 2 * kMiB - 4096);
  put("other", 2 * kMiB - 4096);
  EXPECT_EQ(ctl({"prefetch", "small"}).exit_code, 0);
  EXPECT_EQ(ctl({"pin", "small"}).exit_code, 0);
  EXPECT_EQ(ctl({"prefetch", "other"}).exit_code, 6);
  EXPECT_TRUE(has("small"));
  EXPECT_EQ(ctl({"unpin", "small"}).exit_code, 0);
  EXPECT_EQ(ctl({"prefetch", "other"}).exit_code, 0);  // room is made
  EXPECT_FALSE(has("small"));
}

TEST_F(Prefetching, CachedWithoutAChecksumIs1AndSaysSo) {
  put("a", 1000, false);
  mount();
  for (int i = 0; i < 2; ++i) {
    CommandResult result = ctl({"prefetch", "a"});
    EXPECT_EQ(result.exit_code, 1) << result.describe();
    EXPECT_THAT(result.err, HasSubstr("cached, but it could not be verified"));
  }
  EXPECT_TRUE(has("a"));
  EXPECT_FALSE(has("queue/a"));
}

TEST_F(Prefetching, EndsWhenItIsUnqueuedOrTheDaemonGoes) {
  put("a", kMiB);
  put("b", kMiB);
  mount({"low_speed_time=600"});
  server_.fault({.stall_before_head = true}, {.method = "", .path = "/images/a"}, 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execl(built("imgcachectl").c_str(), "imgcachectl", "-m", mount_->path().c_str(), "prefetch",
            "a", nullptr);
    ::_exit(127);
  }
  ASSERT_TRUE(server_.wait_for({.method = "", .path = "/images/a"}, 1, 20s));
  EXPECT_EQ(ctl({"unqueue", "a"}).exit_code, 0);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST_F(Prefetching, AnInterruptLeavesItQueuedAndTheNextMountGoesOn) {
  put("a", kMiB);
  mount({"low_speed_time=600"});
  server_.fault({.stall_after = 1000}, {.method = "GET", .path = "/images/a"}, 1);
  TempDir out;
  const std::string command = "exec '" + built("imgcachectl") + "' -m '" + mount_->path() +
                              "' prefetch a 2>'" + out.file("err") + "'";
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
    ::_exit(127);
  }
  ASSERT_TRUE(server_.wait_for({.method = "GET", .path = "/images/a"}, 1, 20s));
  ASSERT_EQ(::kill(pid, SIGINT), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  std::ifstream err(out.file("err"));
  const std::string said{std::istreambuf_iterator<char>(err), std::istreambuf_iterator<char>()};
  EXPECT_THAT(said, HasSubstr("interrupted; it stays queued"));
  EXPECT_TRUE(has("queue/a"));
  EXPECT_EQ(mount_->unmount(), 0);
  EXPECT_TRUE(has("queue/a"));
  mount_->start();
  EXPECT_TRUE(wait_until([&] { return has("a") && !has("queue/a"); }));
}

TEST_F(Prefetching, QueueKnowsWhatADaemonIsCachingAlready) {
  put("a", 8 * kMiB);
  mount({"limit_rate=256K"});
  ctl({"queue", "a"});
  ASSERT_TRUE(wait_until([&] {
    const json fills = mount_->status()["fills"];
    return !fills.empty() && fills[0]["whole"] == true;
  }));
  EXPECT_THAT(results(ctl_json({"queue", "a"})), ElementsAre("being cached already"));
}

// SEMANTICS: Readers come before what is queued: their bytes are asked for at once, whatever is
// being cached.
TEST_F(Prefetching, ReadersComeFirst) {
  for (const char* id : {"q1", "q2", "q3", "q4"}) put(id, 4 * kMiB);
  const std::string bytes = put("read", 4 * kMiB);
  mount({"connections=2", "low_speed_time=600"});
  // Every transfer of what is queued stands still, so all threads that background may have are
  // taken.
  for (const char* id : {"q1", "q2", "q3", "q4"})
    server_.fault({.stall_after = 10}, {.method = "GET", .path = std::string("/images/") + id}, 0);
  EXPECT_EQ(ctl({"queue", "q1", "q2", "q3", "q4"}).exit_code, 0);
  const auto queued_gets = [&] {
    size_t count = 0;
    for (const char* id : {"q1", "q2", "q3", "q4"})
      count += server_.count({.method = "GET", .path = std::string("/images/") + id});
    return count;
  };
  ASSERT_TRUE(wait_until([&] { return queued_gets() >= 1; }));
  EXPECT_EQ(mount_->read("read", 2 * kMiB, 4096), bytes.substr(2 * kMiB, 4096));
  // While it was served, and while what is cached is listed and looked at, nothing queued moved.
  EXPECT_EQ(queued_gets(), 1u);
  EXPECT_TRUE(fs::exists(mount_->path()));
  server_.clear_faults();
  server_.release();
  EXPECT_TRUE(wait_until([&] { return mount_->status()["images"]["queued"] == 0; }));
}

}  // namespace
}  // namespace imgcachefs::test
