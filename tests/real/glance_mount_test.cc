// A mount of a real Glance with a real Keystone, as its users have it.
#include <dirent.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <set>
#include <thread>

#include "real/glance_server.h"
#include "real/keystone_server.h"
#include "support/mounted.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
namespace fs = std::filesystem;

std::string random_bytes(size_t size, unsigned seed = 1) {
  std::string bytes(size, '\0');
  std::mt19937_64 random(seed);
  for (size_t i = 0; i + 8 <= size; i += 8) {
    const uint64_t word = random();
    bytes.replace(i, 8, reinterpret_cast<const char*>(&word), 8);
  }
  return bytes;
}

std::set<std::string> names_in(const std::string& path) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(path)) names.insert(entry.path().filename());
  return names;
}

class GlanceMount : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    keystone_ = std::make_unique<KeystoneServer>();
    glance_ = std::make_unique<GlanceServer>(GlanceOptions{.keystone = keystone_.get()});
  }
  static void TearDownTestSuite() {
    glance_.reset();
    keystone_.reset();
  }
  void TearDown() override {
    glance_->start();  // if a test stopped it
    keystone_->start();
  }

  std::string credentials(const std::string& lines) {
    const std::string path = dir_.write("credentials", lines);
    ::chmod(path.c_str(), 0600);
    return "credentials=" + path;
  }
  std::string demo_lines() const {
    const KeystoneUser& demo = keystone_->demo();
    return "auth_url = " + keystone_->auth_url() + "\nusername = " + demo.name +
           "\npassword = " + demo.password + "\nproject_name = " + demo.project +
           "\nuser_domain_name = Default\nproject_domain_name = Default\n";
  }
  std::string as_demo() { return credentials(demo_lines()); }
  static std::string source() { return "glance+" + glance_->url(); }

  static std::unique_ptr<KeystoneServer> keystone_;
  static std::unique_ptr<GlanceServer> glance_;
  TempDir dir_;
};
std::unique_ptr<KeystoneServer> GlanceMount::keystone_;
std::unique_ptr<GlanceServer> GlanceMount::glance_;

// SEMANTICS: A token that expires in the middle of a fill is replaced, and no reader sees it.
TEST_F(GlanceMount, AFillOutlivesItsTokens) {
  // As shortly as Glance can stand: it asks for a token of its own for each request then, so few
  // requests are to be made.
  KeystoneServer keystone({.token_ttl = 15s});
  GlanceServer glance({.keystone = &keystone, .token_cache = 0s});
  // A request is for 4 MiB at most, and lasts as long as it lasts: there have to be several.
  const std::string bytes = random_bytes(12 << 20);
  const std::string id = glance.create({.name = "large", .bytes = bytes});
  std::string lines = demo_lines();
  lines.replace(0, lines.find('\n'), "auth_url = " + keystone.auth_url());
  Mounted mount(
      {.source = "glance+" + glance.url(), .options = {credentials(lines), "limit_rate=400K"}});
  EXPECT_EQ(mount.read(id, 0, 2 << 20), bytes.substr(0, 2 << 20));  // starts the fill of the rest
  EXPECT_TRUE(mount.wait_state(id, "cached", 150s));
  EXPECT_TRUE(wait_until([&] { return mount.xattr(id, "verified") == "1"; }));
  EXPECT_THAT(mount.xattr(id, "checksum").value_or(""), HasSubstr("sha512:"));
  EXPECT_TRUE(mount.read_all(id) == bytes);
  EXPECT_THAT(mount.log(), Not(HasSubstr("EACCES")));

  std::set<std::string> tokens;
  uint64_t sent = 0;
  for (const GlanceRequest& request : glance.requests_of(id)) {
    tokens.insert(request.token);
    if (request.status == 206) sent += request.sent;
  }
  EXPECT_GE(tokens.size(), 2u);
  EXPECT_EQ(sent, bytes.size());
}

TEST_F(GlanceMount, EveryWayToLogIn) {
  const std::string bytes = random_bytes(100'000);
  const std::string id = glance_->create({.name = "small", .bytes = bytes});
  const ApplicationCredential& app = keystone_->application_credential();
  const std::string auth_url = "auth_url = " + keystone_->auth_url() + "\n";
  const std::string ways[] = {
      demo_lines(),
      auth_url + "application_credential_id = " + app.id +
          "\napplication_credential_secret = " + app.secret + "\n",
      auth_url + "application_credential_name = " + app.name + "\nusername = demo\n" +
          "user_domain_name = Default\napplication_credential_secret = " + app.secret + "\n",
      "token = " + keystone_->token(keystone_->demo()) + "\n"};
  for (const std::string& way : ways) {
    Mounted mount({.source = source(), .options = {credentials(way)}});
    EXPECT_EQ(mount.read_all(id), bytes) << way;
  }
  // Where Glance is, is said by the catalogue.
  Mounted mount(
      {.source = "glance:", .options = {as_demo(), "region=RegionOne", "interface=internal"}});
  EXPECT_EQ(mount.read_all(id), bytes);
  EXPECT_EQ(mount.xattr("", "source"), "glance:");
  Mounted other(
      {.source = "glance:" + keystone_->auth_url(), .options = {as_demo(), "region=Atlantis"}});
  EXPECT_EQ(other.read_errno(id), EIO);
  EXPECT_THAT(other.log(), AllOf(HasSubstr("Atlantis"), HasSubstr("RegionOne")));
}

TEST_F(GlanceMount, ACloudOfCloudsYamlWithItsSecretElsewhere) {
  const std::string bytes = random_bytes(100'000);
  const std::string id = glance_->create({.name = "small", .bytes = bytes});
  const std::string clouds = dir_.write(
      "clouds.yaml", "clouds:\n  lab:\n    auth:\n      auth_url: " + keystone_->auth_url() + R"(
      username: demo
      project_name: demo
      user_domain_name: Default
      project_domain_name: Default
    region_name: RegionOne
)");
  const std::string secure = dir_.write(
      "secure.yaml",
      "clouds:\n  lab:\n    auth:\n      password: " + keystone_->demo().password + "\n");
  ::chmod(secure.c_str(), 0600);
  MountSpec spec{.source = "glance:",
                 .options = {"cloud=lab"},
                 .env = {{"OS_CLIENT_CONFIG_FILE", clouds}, {"OS_CLIENT_SECURE_FILE", secure}}};
  EXPECT_EQ(Mounted(spec).read_all(id), bytes);

  spec.options = {"cloud=prod"};
  try {
    Mounted mount(spec);
    ADD_FAILURE() << "mounted a cloud that is not there";
  } catch (const std::runtime_error& refused) {
    EXPECT_THAT(refused.what(), AllOf(HasSubstr("prod"), HasSubstr("lab"), HasSubstr(clouds)));
  }
}

TEST_F(GlanceMount, WhoIsNotLetInGetsEacces) {
  const std::string id = glance_->create({.name = "small", .bytes = "bytes"});
  std::string lines = demo_lines();
  lines.replace(lines.find("password = ") + 11, keystone_->demo().password.size(), "wrong-s3cret");
  Mounted mount({.source = source(), .options = {credentials(lines)}});
  EXPECT_EQ(mount.read_errno(id), EACCES);
  EXPECT_THAT(mount.log(), AllOf(HasSubstr("Keystone does not let"), Not(HasSubstr("s3cret"))));
  Mounted nobody({.source = source(), .options = {}});
  EXPECT_EQ(nobody.read_errno(id), EACCES);
  Mounted revoked({.source = source(), .options = {credentials("token = nonsense\n")}});
  EXPECT_EQ(revoked.read_errno(id), EACCES);
  EXPECT_THAT(revoked.log(), Not(HasSubstr("nonsense")));
}

// SEMANTICS: A deactivated image is EACCES, also when it is cached, once what Glance said last is
// `revalidate` old.
TEST_F(GlanceMount, DeactivatedIsRefusedAndReactivatedComesBack) {
  const std::string bytes = random_bytes(300'000);
  const std::string id = glance_->create({.name = "comes and goes", .bytes = bytes});
  Mounted mount({.source = source(), .options = {as_demo(), "revalidate=1", "negative_ttl=1"}});
  EXPECT_EQ(mount.read_all(id), bytes);
  ASSERT_TRUE(mount.wait_state(id, "cached"));
  glance_->deactivate(id);
  EXPECT_TRUE(wait_until([&] { return mount.read_errno(id) == EACCES; }));
  EXPECT_THAT(mount.log(), HasSubstr("deactivated"));
  glance_->reactivate(id);
  EXPECT_TRUE(wait_until([&] { return mount.read_errno(id) == 0; }));
  const size_t fetched = glance_->requests_of(id).size();
  EXPECT_EQ(mount.read_all(id), bytes);
  EXPECT_EQ(glance_->requests_of(id).size(), fetched);  // it never left the cache
  glance_->remove(id);
  // Nobody needs to open it for that: a look at it is enough.
  EXPECT_TRUE(wait_until([&] { return !fs::exists(mount.path(id)); }));
  EXPECT_EQ(mount.read_errno(id), ENOENT);
  EXPECT_EQ(names_in(mount.path()).count(id), 0u);
}

TEST_F(GlanceMount, OnlyActiveImagesAppear) {
  const std::string queued = glance_->create({.name = "queued", .upload = false});
  const std::string hidden = glance_->create({.name = "hidden", .bytes = "h", .hidden = true});
  const std::string off = glance_->create({.name = "off", .bytes = "o"});
  glance_->deactivate(off);
  Mounted mount({.source = source(), .options = {as_demo(), "list=all", "negative_ttl=0"}});
  const auto names = names_in(mount.path());
  EXPECT_EQ(names.count(queued) + names.count(hidden) + names.count(off), 0u);
  EXPECT_EQ(mount.read_errno(queued), ENOENT);
  EXPECT_EQ(mount.read_errno(off), EACCES);
  EXPECT_EQ(mount.read_all(hidden), "h");  // it is not listed, but it is there
  EXPECT_EQ(mount.read_errno("not-a-uuid"), ENOENT);
  glance_->upload(queued, "now there is data");
  EXPECT_EQ(mount.read_all(queued), "now there is data");
}

// SEMANTICS: `by-name/<name>` is a symbolic link to the newest active image of that name.
// SEMANTICS: With `list=all` `by-name/` lists the names of Glance's catalogue.
//
// SEMANTICS: The directory `by-name/` itself is not listed.
//
// SEMANTICS: A name that cannot be a file name is written with %XX for what stands in the way.
TEST_F(GlanceMount, ByName) {
  const std::string old = glance_->create({.name = "by-name test", .bytes = "old"});
  std::this_thread::sleep_for(1100ms);  // Glance's times are whole seconds
  const std::string newest = glance_->create({.name = "by-name test", .bytes = "new"});
  const std::string odd = glance_->create({.name = "a/b 100%", .bytes = "odd"});
  const std::string colon = glance_->create({.name = "x:y,\"z\"", .bytes = "colon"});
  Mounted mount({.source = source(), .options = {as_demo()}});
  EXPECT_EQ(fs::read_symlink(mount.path("by-name/by-name test")), "../" + newest);
  EXPECT_EQ(mount.read_all("by-name/by-name test"), "new");
  EXPECT_EQ(mount.read_all("by-name/a%2Fb 100%25"), "odd");
  EXPECT_EQ(mount.read_all("by-name/x:y,\"z\""), "colon");
  EXPECT_EQ(mount.read_errno("by-name/no such name"), ENOENT);
  EXPECT_EQ(mount.read_errno("by-name/" + old), ENOENT);
  EXPECT_TRUE(names_in(mount.path("by-name")).empty());
  EXPECT_EQ(names_in(mount.path()).count("by-name"), 0u);

  Mounted all({.source = source(), .options = {as_demo(), "list=all"}});
  EXPECT_EQ(names_in(all.path()).count("by-name"), 0u);
  const auto names = names_in(all.path("by-name"));
  EXPECT_EQ(names.count("by-name test") + names.count("a%2Fb 100%25") + names.count("x:y,\"z\""),
            3u);
  EXPECT_EQ(fs::read_symlink(all.path("by-name/by-name test")), "../" + newest);
  struct stat st;
  ASSERT_EQ(::lstat(all.path("by-name/a%2Fb 100%25").c_str(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  EXPECT_EQ(::symlink("x", all.path("by-name/new").c_str()), -1);
  EXPECT_EQ(errno, EROFS);
}

TEST_F(GlanceMount, QemuReadsByName) {
  const std::string bytes = random_bytes(8 << 20, 7);
  glance_->create({.name = "guest disk", .bytes = bytes});
  Mounted mount({.source = source(), .options = {as_demo()}});
  const std::string copy = dir_.file("copy.raw");
  const CommandResult converted = run(
      {"qemu-img", "convert", "-f", "raw", "-O", "raw", mount.path("by-name/guest disk"), copy});
  ASSERT_TRUE(converted.ok()) << converted.describe();
  EXPECT_TRUE(read_file(copy) == bytes);
}

TEST_F(GlanceMount, ACatalogueOfManyPagesIsListedWithSizesInAFewRequests) {
  GlanceServer glance({.config = "api_limit_max = 7"});
  std::set<std::string> ids;
  for (size_t i = 0; i < 20; ++i)
    ids.insert(glance.create({.name = "n" + std::to_string(i), .bytes = std::string(i, 'x')}));
  Mounted mount({.source = "glance+" + glance.url(), .options = {"list=all"}});
  EXPECT_EQ(names_in(mount.path()), ids);
  const size_t before = glance.requests().size();
  uint64_t sum = 0;
  for (const std::string& id : ids) sum += fs::file_size(mount.path(id));
  EXPECT_EQ(sum, 190u);
  EXPECT_EQ(names_in(mount.path("by-name")).size(), 20u);
  EXPECT_EQ(glance.requests().size(), before);
}

// SEMANTICS: While Glance or Keystone cannot be reached, what is cached stays served, and the log
// says so.
TEST_F(GlanceMount, WhileGlanceIsGoneWhatIsCachedIsServed) {
  const std::string bytes = random_bytes(200'000);
  const std::string cached = glance_->create({.name = "kept", .bytes = bytes});
  const std::string cold = glance_->create({.name = "cold", .bytes = bytes});
  Mounted mount(
      {.source = source(), .options = {as_demo(), "revalidate=0", "retries=1", "list=all"}});
  EXPECT_EQ(mount.read_all("by-name/kept"), bytes);
  ASSERT_TRUE(mount.wait_state(cached, "cached"));
  glance_->stop();
  EXPECT_EQ(mount.read_all(cached), bytes);
  EXPECT_EQ(mount.read_all("by-name/kept"), bytes);
  EXPECT_EQ(mount.read_errno(cold), EIO);
  EXPECT_EQ(names_in(mount.path()).count(cached), 1u);
  EXPECT_THAT(mount.log(), HasSubstr(cached + ": served from the cache without asking upstream"));
  keystone_->stop();
  EXPECT_EQ(mount.read_all(cached), bytes);
}

TEST_F(GlanceMount, AStoreWithoutRangesIsReadInOnePass) {
  const std::string bytes = random_bytes(6 << 20, 3);
  const std::string behind = glance_->create({.name = "data", .bytes = bytes});
  GlanceServer open;  // serves the data without a token
  const std::string data = open.create({.bytes = bytes});
  const std::string id =
      glance_->create_at(open.url() + "/v2/images/" + data + "/file", bytes.size(), "elsewhere");
  Mounted mount({.source = source(), .options = {as_demo()}});
  EXPECT_EQ(mount.read(id, bytes.size() - 1000, 1000), bytes.substr(bytes.size() - 1000));
  EXPECT_TRUE(mount.read_all(id) == bytes);
  EXPECT_TRUE(mount.wait_state(id, "cached"));
  EXPECT_EQ(mount.xattr(id, "verified"), "0");  // Glance knows no checksum of it
  EXPECT_LE(open.sent_bytes(data), bytes.size());
}

TEST_F(GlanceMount, ADataFileThatIsHarmedInTheStoreIsNeverServedWhole) {
  const std::string bytes = random_bytes(3 << 20, 5);
  const std::string id = glance_->create({.name = "rotten", .bytes = bytes});
  {
    std::string harmed = bytes;
    harmed[1 << 20] = static_cast<char>(harmed[1 << 20] ^ 1);
    FILE* file = std::fopen(glance_->store_file(id).c_str(), "r+b");
    ASSERT_NE(file, nullptr);
    std::fwrite(harmed.data(), 1, harmed.size(), file);
    std::fclose(file);
  }
  Mounted mount({.source = source(), .options = {as_demo()}});
  EXPECT_EQ(mount.read_errno(id), 0);  // its first bytes
  EXPECT_THROW(mount.read_all(id), std::system_error);
  EXPECT_TRUE(fs::exists(mount.cache_dir() + "/invalid/" + id));
  EXPECT_FALSE(fs::exists(mount.cache_dir() + "/" + id));
}

// Everything that anybody may see of a daemon.
TEST_F(GlanceMount, NoSecretIsSeenAnywhere) {
  const std::string id = glance_->create({.name = "small", .bytes = random_bytes(100'000)});
  Mounted mount({.source = source(), .options = {as_demo(), "log_level=trace", "revalidate=0"}});
  mount.read_all(id);
  mount.read_errno("11111111-2222-3333-4444-555555555555");
  keystone_->stop();
  glance_->stop();
  mount.read_errno(id);
  std::string seen = mount.log() + mount.metrics() + mount.status().dump();
  for (const char* file : {"cmdline", "environ", "comm", "mountinfo"})
    seen += read_file("/proc/" + std::to_string(mount.pid()) + "/" + file);
  for (const char* name : {"source", "cache_dir", "version"})
    seen += mount.xattr("", name).value_or("");
  for (const auto& entry : fs::recursive_directory_iterator(mount.cache_dir()))
    if (entry.is_regular_file() && entry.path().filename() != id)
      seen += read_file(entry.path().string());
  EXPECT_THAT(seen, Not(HasSubstr(keystone_->demo().password)));
  EXPECT_THAT(seen, Not(HasSubstr("gAAAA")));  // how every fernet token begins
}

}  // namespace
}  // namespace imgcachefs::test
