// Mounts of a real docker-registry, as their users have them: skopeo pushes, ls and cat read, two
// hosts share a Redis.
#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>

#include "real/registry_server.h"
#include "support/checksum.h"
#include "support/mounted.h"
#include "support/nginx.h"
#include "support/redis_server.h"
#include "support/temp_dir.h"
#include "support/token_server.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
namespace fs = std::filesystem;

std::string random_bytes(size_t size, unsigned seed) {
  std::string bytes(size, '\0');
  std::mt19937_64 random(seed);
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::set<std::string> names_in(const std::string& path) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(path)) names.insert(entry.path().filename());
  return names;
}

int stat_errno(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0 ? 0 : errno;
}

struct Blob {
  std::string bytes, id;  // "sha256:<hex>"
};

Blob blob_of(size_t size, unsigned seed) {
  std::string bytes = random_bytes(size, seed);
  const std::string id = "sha256:" + hex_digest(bytes);
  return {std::move(bytes), id};
}

MountSpec mount_of(const RegistryServer& registry, std::vector<std::string> options = {}) {
  return {.source = "oci+" + registry.url(), .options = std::move(options)};
}

size_t heads(const RegistryServer& registry) {
  const auto requests = registry.requests();
  return std::count_if(requests.begin(), requests.end(),
                       [](const auto& request) { return request.method == "HEAD"; });
}

// SEMANTICS: `<repository>/.tags/<tag>/` has a link for each blob of the tag, named by its title,
// and `manifest.json`.
TEST(RegistryMount, WhatSkopeoPushedIsReadByItsDigestsAndTitles) {
  RegistryServer from, registry;
  const Blob layers[] = {blob_of(3 << 20, 1), blob_of(100'001, 2), blob_of(1, 3)};
  from.push_image("disk", "v1",
                  {{.bytes = layers[0].bytes, .title = "disk.qcow2"},
                   {.bytes = layers[1].bytes, .title = "kernel"},
                   {.bytes = layers[2].bytes}});
  const auto copied =
      run({"skopeo", "--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false",
           "--dest-tls-verify=false", "docker://" + from.address() + "/disk:v1",
           "docker://" + registry.address() + "/team/vm:v1"});
  ASSERT_TRUE(copied.ok()) << copied.describe();

  Mounted mount(mount_of(registry));
  for (const Blob& layer : layers) {
    const std::string path = "team/vm/" + layer.id;
    EXPECT_EQ("sha256:" + hex_digest(mount.read_all(path)), layer.id);
    EXPECT_TRUE(mount.wait_state(path, "cached"));
    EXPECT_EQ(mount.xattr(path, "verified"), "1");
    EXPECT_EQ(mount.xattr(path, "checksum"), layer.id);
    EXPECT_TRUE(fs::exists(mount.cache_dir() + "/" + layer.id));
  }

  // SEMANTICS: While what the registry said is believed, a cached blob is read without a request.
  const size_t requests = registry.requests().size();
  for (const Blob& layer : layers)
    EXPECT_TRUE(mount.read_all("team/vm/" + layer.id) == layer.bytes);
  EXPECT_EQ(registry.requests().size(), requests);

  EXPECT_EQ(names_in(mount.path()), std::set<std::string>{"team"});
  EXPECT_EQ(names_in(mount.path("team")), std::set<std::string>{"vm"});
  EXPECT_EQ(names_in(mount.path("team/vm")),
            (std::set<std::string>{layers[0].id, layers[1].id, layers[2].id}));
  EXPECT_EQ(names_in(mount.path("team/vm/.tags")), std::set<std::string>{"v1"});
  const auto listed = run({"ls", "-l", mount.path("team/vm/.tags/v1")});
  ASSERT_TRUE(listed.ok()) << listed.describe();
  EXPECT_THAT(listed.out, HasSubstr("disk.qcow2 -> ../../" + layers[0].id));
  EXPECT_THAT(listed.out, HasSubstr("kernel -> ../../" + layers[1].id));
  EXPECT_THAT(listed.out, HasSubstr("manifest.json"));
  EXPECT_THAT(listed.out, HasSubstr("config -> ../../sha256:"));
  EXPECT_TRUE(mount.read_all("team/vm/.tags/v1/disk.qcow2") == layers[0].bytes);
  const auto manifest = nlohmann::json::parse(mount.read_all("team/vm/.tags/v1/manifest.json"));
  EXPECT_EQ(manifest.at("layers").size(), 3u);
  EXPECT_EQ(fs::file_size(mount.path("team/vm/.tags/v1/manifest.json")),
            mount.read_all("team/vm/.tags/v1/manifest.json").size());
}

// What cp, tar and rsync do with a file, and find and getcwd with a directory.
TEST(RegistryMount, ManifestsAndDirectoriesAreFilesLikeAnyOther) {
  RegistryServer registry;
  registry.push_image("team/vm", "v1", {{.bytes = "x"}});
  Mounted mount(mount_of(registry));
  const std::string path = mount.path("team/vm/.tags/v1/manifest.json");
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const off_t size = static_cast<off_t>(fs::file_size(path));
  EXPECT_EQ(::lseek(fd, 0, SEEK_DATA), 0);
  EXPECT_EQ(::lseek(fd, 0, SEEK_HOLE), size);
  EXPECT_EQ(::lseek(fd, size, SEEK_DATA), -1);
  EXPECT_EQ(errno, ENXIO);
  ::close(fd);
  for (const char* name : {".", "team", "team/vm", "team/vm/.tags", "team/vm/.tags/v1"}) {
    DIR* dir = ::opendir(mount.path(name).c_str());
    ASSERT_NE(dir, nullptr) << name;
    while (const dirent* entry = ::readdir(dir)) {
      const std::string dots = entry->d_name;
      struct stat st {};
      if (dots == ".." && name == std::string(".")) continue;  // of the file system below
      if (dots != "." && dots != "..") continue;
      EXPECT_EQ(::stat(mount.path(std::string(name) + "/" + dots).c_str(), &st), 0);
      EXPECT_EQ(entry->d_ino, st.st_ino) << name << "/" << dots;
    }
    ::closedir(dir);
  }
  TempDir to;
  const auto copied = run({"bash", "-c", "cp -rL $0 $1 && diff -r $0 $1 && tar -ch $0 >$2",
                           mount.path("team/vm/.tags/v1"), to.file("copy"), to.file("tar")});
  EXPECT_TRUE(copied.ok()) << copied.describe();
  EXPECT_EQ(::mkdir(mount.path("team/vm/new").c_str(), 0700), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(::unlink(path.c_str()), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_EQ(::open(path.c_str(), O_WRONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, EROFS);
}

// SEMANTICS: `<repository>/sha256:<hex>` is the blob of that digest in each repository that has it,
// and in no other.
TEST(RegistryMount, NamesThatAreNotThere) {
  RegistryServer registry;
  const Blob blob = blob_of(1000, 1), other = blob_of(1000, 2);
  registry.push_blob("team/vm", blob.bytes);
  registry.push_image("team/vm", "v1", {{.bytes = blob.bytes}});
  registry.push_image("other", "v1", {{.bytes = other.bytes}});
  Mounted mount(mount_of(registry));
  for (const char* path : {"tea", "team/v", "team/vm/x", "UPPER", "team/vm/sha256:zz",
                           "team/vm/md5:d41d8cd98f00b204e9800998ecf8427e", "team/.tags", ".tags",
                           "team/vm/.tags/v2", "team/vm/.tags/v1/none", "by-name"})
    EXPECT_EQ(stat_errno(mount.path(path)), ENOENT) << path;
  EXPECT_EQ(stat_errno(mount.path(blob.id)), ENOENT);
  EXPECT_EQ(stat_errno(mount.path("team/" + blob.id)), ENOENT);
  EXPECT_EQ(stat_errno(mount.path("team/vm/" + other.id)), ENOENT);
  // Cached, it is shown where it is a member all the same, and nowhere else.
  EXPECT_TRUE(mount.read_all("other/" + other.id) == other.bytes);
  EXPECT_EQ(stat_errno(mount.path("team/vm/" + other.id)), ENOENT);
  EXPECT_EQ(stat_errno(mount.path("other/" + other.id)), 0);
}

// SEMANTICS: A blob of several repositories is fetched once, kept once and counted once.
TEST(RegistryMount, OneBlobOfTenRepositoriesIsOneFile) {
  RegistryServer registry;
  const Blob blob = blob_of(1 << 20, 1);
  for (int i = 0; i < 10; ++i)
    registry.push_image("repository" + std::to_string(i), "v1", {{.bytes = blob.bytes}});
  Mounted mount(mount_of(registry));
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(mount.read_all("repository" + std::to_string(i) + "/" + blob.id) == blob.bytes);
  EXPECT_EQ(registry.sent_bytes(blob.id), blob.bytes.size());
  EXPECT_EQ(mount.status()["images"]["cached"], 1);
  EXPECT_LT(mount.status()["used"].get<uint64_t>(), 3u << 20);
  EXPECT_TRUE(wait_until([&] { return mount.xattr("repository3/" + blob.id, "hits") == "9"; }));
  EXPECT_EQ(names_in(mount.path()).size(), 10u);
  ASSERT_TRUE(
      run({built("imgcachectl"), "-m", mount.path(), "pin", "repository1/" + blob.id}).ok());
  EXPECT_TRUE(wait_until([&] { return mount.xattr("repository7/" + blob.id, "pinned") == "1"; }));
}

// SEMANTICS: What one host has learnt of a blob, a host that shares its Redis does not ask.
TEST(RegistryMount, TwoHostsShareWhatOneHasLearnt) {
  constexpr unsigned kBlobs = 1000;
  RedisServer redis;
  RegistryServer registry;
  std::vector<Blob> blobs;
  for (unsigned i = 0; i < kBlobs; ++i) {
    blobs.push_back(blob_of(100 + i, i));
    registry.place_blob("team/vm", blobs.back().bytes);
  }
  registry.push_image("team/vm", "v1", {{.bytes = blobs[0].bytes}});
  const auto stat_all = [&](const Mounted& mount) {
    unsigned right = 0;
    for (const Blob& blob : blobs) {
      struct stat st {};
      right += ::stat(mount.path("team/vm/" + blob.id).c_str(), &st) == 0 &&
               static_cast<size_t>(st.st_size) == blob.bytes.size();
    }
    return right;
  };
  Mounted one(mount_of(registry, {"redis=" + redis.url()}));
  EXPECT_EQ(stat_all(one), kBlobs);
  EXPECT_GE(heads(registry), kBlobs);
  const size_t before = heads(registry);
  Mounted two(mount_of(registry, {"redis=" + redis.url()}));
  EXPECT_EQ(stat_all(two), kBlobs);
  EXPECT_EQ(heads(registry), before);
  EXPECT_TRUE(two.read_all("team/vm/" + blobs[7].id) == blobs[7].bytes);

  redis.stop();
  EXPECT_TRUE(one.read_all("team/vm/" + blobs[1].id) == blobs[1].bytes);
  EXPECT_TRUE(two.read_all("team/vm/" + blobs[2].id) == blobs[2].bytes);
  const Blob fresh = blob_of(5000, kBlobs);
  registry.push_blob("team/vm", fresh.bytes);
  EXPECT_TRUE(one.read_all("team/vm/" + fresh.id) == fresh.bytes);
  EXPECT_TRUE(two.read_all("team/vm/" + fresh.id) == fresh.bytes);
}

// SEMANTICS: A Redis that is down, slow or wrong makes no byte wrong and no reader wait for long.
TEST(RegistryMount, ARedisThatLiesAboutASizeNeverMakesAWrongByte) {
  RedisServer redis;
  RegistryServer registry;
  const Blob blob = blob_of(200'000, 1);
  registry.push_image("vm", "v1", {{.bytes = blob.bytes}});
  for (const char* lie : {"77", "300000", "1000000000000"}) {
    redis.command({"SADD", "repository::vm::blobs", blob.id});
    redis.command({"HMSET", "blobs::" + blob.id, "digest", blob.id, "size", lie, "length", lie});
    Mounted mount(mount_of(registry, {"redis=" + redis.url()}));
    const std::string path = "vm/" + blob.id;
    // The first to read finds out; it gets no byte of another size, and the next gets all of it.
    const int first = mount.read_errno(path);
    EXPECT_TRUE(first == 0 || first == ESTALE) << lie << ": " << first;
    EXPECT_TRUE(wait_until([&] { return fs::file_size(mount.path(path)) == blob.bytes.size(); }))
        << lie;
    EXPECT_TRUE(mount.read_all(path) == blob.bytes) << lie;
    EXPECT_THAT(mount.log(), HasSubstr(blob.id));
    EXPECT_EQ(redis.command({"HGET", "blobs::" + blob.id, "length"}),
              std::to_string(blob.bytes.size()));
  }
}

TEST(RegistryMount, ASlowRedisHoldsNobodyUp) {
  RedisServer redis;
  RegistryServer registry;
  const Blob blob = blob_of(1000, 1);
  registry.push_image("vm", "v1", {{.bytes = blob.bytes}});
  Mounted mount(mount_of(registry, {"redis=" + redis.url()}));
  redis.pause();
  EXPECT_TRUE(mount.read_all("vm/" + blob.id) == blob.bytes);
  redis.resume();
}

TEST(RegistryMount, WhatIsCachedIsServedWhileTheRegistryIsDownAfterARestartToo) {
  RegistryServer registry;
  const Blob blob = blob_of(100'000, 1);
  registry.push_image("team/vm", "v1", {{.bytes = blob.bytes}});
  Mounted mount(mount_of(registry, {"retries=0"}));
  EXPECT_TRUE(mount.read_all("team/vm/" + blob.id) == blob.bytes);
  ASSERT_TRUE(mount.wait_state("team/vm/" + blob.id, "cached"));
  registry.stop();
  EXPECT_TRUE(mount.read_all("team/vm/" + blob.id) == blob.bytes);
  ASSERT_EQ(mount.unmount(), 0);
  mount.start();
  EXPECT_TRUE(mount.read_all("team/vm/" + blob.id) == blob.bytes);
  EXPECT_EQ(names_in(mount.path("team/vm")), std::set<std::string>{blob.id});
}

TEST(RegistryMount, TheQueueTakesABlobByItsPath) {
  RegistryServer registry;
  const Blob blob = blob_of(100'000, 1), queued = blob_of(100'000, 2);
  registry.push_image("team/vm", "v1", {{.bytes = blob.bytes}, {.bytes = queued.bytes}});
  Mounted mount(mount_of(registry));
  const auto fetched =
      run({built("imgcachectl"), "-m", mount.path(), "prefetch", "team/vm/" + blob.id});
  EXPECT_TRUE(fetched.ok()) << fetched.describe();
  EXPECT_EQ(mount.xattr("team/vm/" + blob.id, "state"), "cached");
  // Queued while nobody has it mounted.
  ASSERT_EQ(mount.unmount(), 0);
  ASSERT_TRUE(
      run({built("imgcachectl"), "-c", mount.cache_dir(), "queue", "team/vm/" + queued.id}).ok());
  mount.start();
  EXPECT_TRUE(wait_until([&] { return fs::exists(mount.cache_dir() + "/" + queued.id); }));
  EXPECT_THAT(names_in(mount.path("team/vm")), UnorderedElementsAre(blob.id, queued.id));
  const auto evicted = run({built("imgcachectl"), "-m", mount.path(), "evict", queued.id});
  EXPECT_TRUE(evicted.ok()) << evicted.describe();
}

// SEMANTICS: With `list=all` the directories are those of the catalogue, and a repository lists the
// blobs of all its tags.
TEST(RegistryMount, ListAllShowsTheCatalogueAndTheBlobsOfAllTags) {
  RegistryServer registry;
  const Blob a = blob_of(1000, 1), b = blob_of(1000, 2);
  registry.push_image("team/vm", "v1", {{.bytes = a.bytes}});
  registry.push_image("team/vm", "v2", {{.bytes = b.bytes}});
  Mounted mount(mount_of(registry, {"list=all"}));
  EXPECT_EQ(names_in(mount.path()), std::set<std::string>{"team"});
  EXPECT_THAT(names_in(mount.path("team/vm")), Contains(a.id));
  EXPECT_THAT(names_in(mount.path("team/vm")), Contains(b.id));
  EXPECT_EQ(fs::file_size(mount.path("team/vm/" + a.id)), 1000u);
  EXPECT_EQ(registry.requests_of(a.id, "GET").size(), 0u);
}

// --- who is let in -------------------------------------------------------------------------------

TEST(RegistryMount, PasswordsOfTheCredentialsFileOrOfDocker) {
  RegistryServer registry({.user = "alice", .password = "alicepw"});
  const Blob blob = blob_of(1000, 1);
  registry.push_image("vm", "v1", {{.bytes = blob.bytes}});
  TempDir dir;
  const std::string path = "vm/" + blob.id;
  {
    Mounted mount(mount_of(registry));
    EXPECT_EQ(stat_errno(mount.path(path)), EACCES);
  }
  for (const char* password : {"alicepw", "wrong"}) {
    const std::string file =
        dir.write("credentials", std::string("username = alice\npassword = ") + password + "\n");
    ::chmod(file.c_str(), 0600);
    Mounted mount(mount_of(registry, {"credentials=" + file}));
    EXPECT_EQ(stat_errno(mount.path(path)), password == std::string("wrong") ? EACCES : 0);
    EXPECT_THAT(mount.log(), Not(HasSubstr(password)));
  }
  // As `docker login` and `skopeo login` leave it.
  const auto login =
      run({"skopeo", "login", "--tls-verify=false", "--authfile", dir.file("auth.json"), "-u",
           "alice", "-p", "alicepw", registry.address()});
  ASSERT_TRUE(login.ok()) << login.describe();
  MountSpec spec = mount_of(registry);
  spec.env["REGISTRY_AUTH_FILE"] = dir.file("auth.json");
  Mounted mount(spec);
  EXPECT_TRUE(mount.read_all(path) == blob.bytes);
}

TEST(RegistryMount, ABlobComesFromWhereTheRegistrySendsUsWithoutOurLogin) {
  RegistryServer plain({.user = "alice", .password = "alicepw"});
  const Blob blob = blob_of(3 << 20, 1);
  plain.push_image("vm", "v1", {{.bytes = blob.bytes}});
  Nginx store(plain.data_dir(), {.server_config = "if ($http_authorization) { return 500; }"});
  RegistryServer registry({.user = "alice", .password = "alicepw", .redirect = store.url("/")});
  fs::copy(plain.data_dir(), registry.data_dir(), fs::copy_options::recursive);
  TempDir dir;
  const std::string file = dir.write("credentials", "username = alice\npassword = alicepw\n");
  ::chmod(file.c_str(), 0600);
  Mounted mount(mount_of(registry, {"credentials=" + file}));
  EXPECT_TRUE(mount.read_all("vm/" + blob.id) == blob.bytes);
  EXPECT_TRUE(mount.wait_state("vm/" + blob.id, "cached"));
  uint64_t sent = 0;
  for (const NginxRequest& request : store.requests()) sent += request.sent;
  EXPECT_EQ(sent, blob.bytes.size());
}

class RegistryTokens : public ::testing::Test {
 protected:
  RegistryTokens()
      : tokens_({.users = {{"alice", "alicepw", ""}}, .issuer = "test-issuer"}),
        registry_({.token = RegistryToken{.realm = tokens_.realm(),
                                          .service = "my-registry",
                                          .issuer = "test-issuer",
                                          .certificate = tokens_.cert_file()}}) {
    credentials_ = dir_.write("credentials", "username = alice\npassword = alicepw\n");
    ::chmod(credentials_.c_str(), 0600);
  }
  // By skopeo, which gets its own tokens.
  void push(const std::string& repository, const Blob& blob) {
    RegistryServer open;
    open.push_image("x", "v1", {{.bytes = blob.bytes}});
    const auto copied = run({"skopeo", "--insecure-policy", "copy", "--preserve-digests",
                             "--src-tls-verify=false", "--dest-tls-verify=false", "--dest-creds",
                             "alice:alicepw", "docker://" + open.address() + "/x:v1",
                             "docker://" + registry_.address() + "/" + repository + ":v1"});
    if (!copied.ok()) throw std::runtime_error(copied.describe());
  }

  TempDir dir_;
  TokenServer tokens_;
  RegistryServer registry_;
  std::string credentials_;
};

// SEMANTICS: A repository that may not be pulled is EACCES, and so is a cached blob under it.
TEST_F(RegistryTokens, WhatMayNotBePulledIsRefusedCachedOrNot) {
  const Blob blob = blob_of(100'000, 1);
  push("team/vm", blob);
  push("private/vm", blob);
  Mounted mount(mount_of(registry_));
  EXPECT_TRUE(mount.read_all("team/vm/" + blob.id) == blob.bytes);
  ASSERT_TRUE(mount.wait_state("team/vm/" + blob.id, "cached"));
  EXPECT_EQ(stat_errno(mount.path("private/vm/" + blob.id)), EACCES);
  EXPECT_EQ(mount.read_errno("private/vm/" + blob.id), EACCES);
  EXPECT_EQ(stat_errno(mount.path("private/vm/.tags")), EACCES);
  Mounted let_in(mount_of(registry_, {"credentials=" + credentials_}));
  EXPECT_TRUE(let_in.read_all("private/vm/" + blob.id) == blob.bytes);
}

// The kernel has looked it up, it is cached, its file is marked, and then the registry is gone.
TEST_F(RegistryTokens, LeaveThatWasTakenAwayIsNotGivenBackByAnOutage) {
  const Blob blob = blob_of(100'000, 1);
  push("private/vm", blob);
  tokens_.life(1s);
  Mounted mount(mount_of(
      registry_, {"credentials=" + credentials_, "revalidate=1", "negative_ttl=0", "retries=0"}));
  const std::string path = "private/vm/" + blob.id;
  EXPECT_TRUE(mount.read_all(path) == blob.bytes);
  ASSERT_TRUE(mount.wait_state(path, "cached"));
  tokens_.users({});
  EXPECT_TRUE(wait_until([&] { return mount.read_errno(path) == EACCES; }));
  registry_.stop();
  EXPECT_NE(mount.read_errno(path), 0);
  EXPECT_THAT(names_in(mount.path()), IsEmpty());
  ASSERT_EQ(mount.unmount(), 0);
  mount.start();
  EXPECT_NE(mount.read_errno(path), 0);
  EXPECT_THAT(names_in(mount.path()), IsEmpty());
}

TEST_F(RegistryTokens, ARedisThatKnowsAMemberGivesNoLeave) {
  RedisServer redis;
  const Blob blob = blob_of(1000, 1);
  push("private/vm", blob);
  Mounted let_in(mount_of(registry_, {"credentials=" + credentials_, "redis=" + redis.url()}));
  EXPECT_TRUE(let_in.read_all("private/vm/" + blob.id) == blob.bytes);
  Mounted kept_out(mount_of(registry_, {"redis=" + redis.url()}));
  EXPECT_EQ(stat_errno(kept_out.path("private/vm/" + blob.id)), EACCES);
}

// SEMANTICS: A token that expires in the middle of a fill is replaced, and no reader sees it.
TEST_F(RegistryTokens, AFillOutlivesItsTokens) {
  const Blob blob = blob_of(6 << 20, 1);
  push("team/vm", blob);
  tokens_.life(2s);
  Mounted mount(mount_of(registry_, {"limit_rate=1M"}));
  const std::string path = "team/vm/" + blob.id;
  const size_t before = tokens_.count();
  EXPECT_TRUE(mount.read(path, 0, 2 << 20) == blob.bytes.substr(0, 2 << 20));
  EXPECT_TRUE(mount.wait_state(path, "cached"));
  EXPECT_TRUE(mount.read_all(path) == blob.bytes);
  EXPECT_GE(tokens_.count(), before + 2);
  EXPECT_THAT(mount.log(), Not(HasSubstr("EACCES")));
}

}  // namespace
}  // namespace imgcachefs::test
