// Who is shown which blob of a registry: membership and leave to pull that end, outages, and a
// Redis that knows too much, too little or nothing (DESIGN 2.7).
#include <thread>

#include "mount/registry_faults.h"
#include "support/redis_server.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class RegistryAccess : public RegistryFaults {
 protected:
  RegistryAccess() { registry_.push("other", bytes_); }

  void mount_with_both_cached(const std::vector<std::string>& more = {}) {
    mount(more);
    for (const char* repository : {"team/vm", "other"})
      EXPECT_TRUE(read(in(repository)).bytes == bytes_);
    ASSERT_TRUE(mount_->wait_state(in("other"), "cached"));
  }
  void expect_errno(const std::string& name, int error) {
    EXPECT_TRUE(wait_until([&] { return stat_errno(name) == error; }, 10s))
        << name << ": " << strerrorname_np(stat_errno(name));
    EXPECT_EQ(mount_->read_errno(name), error) << name;
  }
  // The kernel believes an entry for a second.
  void expect_never_served(const std::string& name) {
    EXPECT_TRUE(wait_until([&] { return mount_->read_errno(name) != 0; }, 10s)) << name;
    EXPECT_NE(mount_->read_errno(name), 0) << name;
  }
};

// SEMANTICS: `<repository>/sha256:<hex>` is the blob of that digest in each repository that has it,
// and in no other.
TEST_F(RegistryAccess, EndsWhereACachedBlobIsRemoved) {
  mount_with_both_cached({"revalidate=1"});
  registry_.remove("team/vm", blob_);
  expect_errno(in("team/vm"), ENOENT);
  EXPECT_TRUE(read(in("other")).bytes == bytes_);
  EXPECT_EQ(names_in(""), std::set<std::string>{"other"});
  // Nor is it shown there by what was noted on its file.
  mount_->kill9();
  down();
  mount_->start();
  EXPECT_NE(stat_errno(in("team/vm")), 0);
  EXPECT_TRUE(read(in("other")).bytes == bytes_);
}

// SEMANTICS: A repository that may not be pulled is EACCES, and so is a cached blob under it.
TEST_F(RegistryAccess, EndsWhereLeaveToPullIsRevoked) {
  mount_with_both_cached({"revalidate=1"});
  registry_.refuse("team/vm", 403);
  expect_errno(in("team/vm"), EACCES);
  EXPECT_TRUE(read(in("other")).bytes == bytes_);
  registry_.refuse("team/vm", 0);
  expect_errno(in("team/vm"), 0);
  EXPECT_TRUE(read(in("team/vm")).bytes == bytes_);
}

TEST_F(RegistryAccess, OutlivesTheRegistryAndACrash) {
  mount_with_both_cached({"revalidate=1"});
  down();
  std::this_thread::sleep_for(1500ms);  // what was said is not believed any more
  EXPECT_TRUE(read(in("team/vm")).bytes == bytes_);
  mount_->kill9();
  mount_->start();
  EXPECT_TRUE(read(in("team/vm")).bytes == bytes_);
  EXPECT_TRUE(read(in("other")).bytes == bytes_);
}

// SEMANTICS: What was refused is not given back by an outage or a restart, only by the registry.
TEST_F(RegistryAccess, ThatWasRefusedIsNotGivenBackByAnOutage) {
  const std::string second = registry_.push("team/vm", "another one"), path = "team/vm/" + second;
  mount_with_both_cached({"revalidate=1"});
  ASSERT_EQ(read(path).bytes, "another one");
  registry_.refuse("team/vm", 403);
  expect_errno(in("team/vm"), EACCES);
  down();
  expect_never_served(in("team/vm"));
  expect_never_served(path);  // of the same repository, and nobody asked since
  EXPECT_TRUE(read(in("other")).bytes == bytes_);
  mount_->kill9();
  mount_->start();
  expect_never_served(in("team/vm"));
  expect_never_served(path);
  EXPECT_TRUE(read(in("other")).bytes == bytes_);
  // And is given back by the registry.
  well_again();
  registry_.refuse("team/vm", 0);
  EXPECT_TRUE(wait_until([&] { return read(path).bytes == "another one"; }));
  EXPECT_TRUE(wait_until([&] { return read(in("team/vm")).bytes == bytes_; }));
}

// --- a Redis -------------------------------------------------------------------------------------

class RegistryRedis : public RegistryAccess {
 protected:
  std::string redis_option() const { return "redis=" + redis_.url(); }
  void know_member(const std::string& repository, const std::string& blob) {
    redis_.command({"SADD", "repository::" + repository + "::blobs", blob});
    redis_.command({"HSET", "repository::" + repository + "::blobs::" + blob, "mediatype",
                    "application/octet-stream"});
  }
  void know_size(const std::string& blob, const std::string& path, const std::string& size) {
    redis_.command({"HSET", "blobs::" + blob, "digest", blob, "size", size, "length", size, "path",
                    path, "mediatype", "application/octet-stream"});
  }
  bool is_member(const std::string& repository, const std::string& blob) {
    return redis_.command({"SISMEMBER", "repository::" + repository + "::blobs", blob}) == "1";
  }

  RedisServer redis_;
};

// SEMANTICS: A Redis that is down, slow or wrong makes no byte wrong and no reader wait for long.
TEST_F(RegistryRedis, ThatStopsInTheMiddleOfAScanDelaysItALittle) {
  std::vector<std::string> blobs;
  for (int i = 0; i < 300; ++i)
    blobs.push_back(registry_.push("team/vm", "blob " + std::to_string(i)));
  mount({redis_option()});
  size_t right = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (size_t i = 0; i < blobs.size(); ++i) {
    if (i == 50) redis_.pause();
    if (i == 150) redis_.resume();
    if (i == 200) redis_.stop();
    if (i == 250) redis_.start();
    if (i == 275) redis_.command({"FLUSHALL"});
    right += read("team/vm/" + blobs[i]).bytes == "blob " + std::to_string(i);
  }
  EXPECT_EQ(right, blobs.size());
  // Far less than each of them waiting for it.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
  EXPECT_LE(log_lines("edis"), 12u) << mount_->log();
}

TEST_F(RegistryRedis, ThatLiesAboutTheSizeOfACachedBlobDoesNotDropIt) {
  mount_with_both_cached({redis_option(), "revalidate=1"});
  for (bool restarted : {false, true}) {
    know_size(blob_, "team/vm", "77");
    std::this_thread::sleep_for(1500ms);
    if (restarted) {
      mount_->kill9();
      mount_->start();
    }
    EXPECT_TRUE(read(in("team/vm")).bytes == bytes_);
    EXPECT_EQ(std::filesystem::file_size(mount_->path(in("team/vm"))), kSize);
    EXPECT_TRUE(has(blob_));
  }
  EXPECT_LE(server_.sent_bytes(get().path), kSize);
}

TEST_F(RegistryRedis, ThatNamesAMemberThatIsNoneIsPutRightByTheFirstRead) {
  const std::string none = digest_of_bytes("nowhere to be found");
  registry_.tag("team/vm", "v1", FakeRegistry::image_of({}));
  know_member("team/vm", none);
  know_size(none, "team/vm", "19");
  mount({redis_option()});
  EXPECT_EQ(stat_errno("team/vm/" + none), 0);
  EXPECT_EQ(mount_->read_errno("team/vm/" + none), ENOENT);
  EXPECT_FALSE(is_member("team/vm", none));
  // It is not shown any more, and is when it is there.
  EXPECT_TRUE(wait_until([&] { return stat_errno("team/vm/" + none) == ENOENT; }, 10s));
  registry_.push("team/vm", "nowhere to be found");
  EXPECT_TRUE(wait_until([&] { return read("team/vm/" + none).bytes == "nowhere to be found"; }));
}

// Somebody with another login has filled it.
TEST_F(RegistryRedis, ThatSendsUsWhereWeMayNotPullLetsNobodyIn) {
  const std::string secret = registry_.push("private/vm", "a secret");
  registry_.refuse("private/vm", 403);
  registry_.tag("team/vm", "v1", FakeRegistry::image_of({}));
  for (const std::string& repository : {std::string("team/vm"), std::string("private/vm")})
    know_member(repository, secret);
  know_size(secret, "private/vm", "8");
  mount({redis_option()});
  EXPECT_EQ(mount_->read_errno("private/vm/" + secret), EACCES);
  const Got got = read("team/vm/" + secret);
  EXPECT_NE(got.error, 0);
  EXPECT_EQ(got.bytes, "");
  EXPECT_FALSE(has(secret));
  for (const char* nonsense : {"../../etc", "team/vm/blobs/x?y=", "TEAM"}) {
    know_size(secret, nonsense, "8");
    EXPECT_NE(read("team/vm/" + secret).error, 0);
  }
  for (const Request& request : server_.requests())
    EXPECT_TRUE(request.path.starts_with("/v2/team") || request.path.starts_with("/v2/private") ||
                request.path == "/v2/_catalog")
        << request.path;
}

// --- silence -------------------------------------------------------------------------------------

// SEMANTICS: A reader that waits for a silent upstream does not hold up anybody who needs it not.
TEST_F(RegistryAccess, OfASilentRegistryIsLeftAtOnceAndHoldsUpNobody) {
  const std::string slow = registry_.push("slow", "x");
  mount_with_both_cached({"low_speed_time=600", "retries=1000"});
  Behaviour silent;
  silent.stall_before_head = true;
  for (const Match& what : {FakeRegistry::blob_head("slow", slow), FakeRegistry::tags("nowhere")})
    server_.fault(silent, what, 0);
  std::vector<std::thread> waiting;
  for (const std::string& name : {"slow/" + slow, std::string("nowhere")})
    for (const char* signal : {"INT", "KILL"})
      waiting.emplace_back([this, name, signal] {
        const auto left =
            run({"timeout", "-k", "20", "-s", signal, "2", "cat", mount_->path(name)});
        EXPECT_EQ(left.exit_code, signal == std::string("KILL") ? 137 : 124) << left.describe();
      });
  ASSERT_TRUE(server_.wait_for(FakeRegistry::blob_head("slow", slow), 1, kPatience));
  RunOptions limit;
  limit.timeout = 15s;
  EXPECT_EQ(run({"ls", mount_->path("other")}, limit).out, blob_ + "\n");
  EXPECT_TRUE(run({"ls", mount_->path()}, limit).ok());
  EXPECT_TRUE(run({"cat", mount_->path(in("other"))}, limit).out == bytes_);
  const std::string cold = registry_.push("other", "cold");
  EXPECT_EQ(run({"cat", mount_->path("other/" + cold)}, limit).out, "cold");
  for (std::thread& one : waiting) one.join();
}

}  // namespace
}  // namespace imgcachefs::test
