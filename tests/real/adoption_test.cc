// Adopting the cache directory of a real glance-api, and leaving it to Glance again.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "real/glance_server.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"
#include "support/program.h"

namespace imgcachefs::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr uint64_t kSize = 300'000;
const std::string kA = "aaaaaaaa-0000-4000-8000-000000000001";
const std::string kB = "bbbbbbbb-0000-4000-8000-000000000002";
const std::string kC = "cccccccc-0000-4000-8000-000000000003";

std::string bytes_of(const std::string& id) {
  return pattern_string(std::hash<std::string>()(id), 0, kSize);
}

// The driver. Each test has a glance-api with the images kA, kB and kC, none of them cached, and a
// plain HTTP directory with the same images under their IDs.
class Adoption : public testing::TestWithParam<std::string> {
 protected:
  Adoption() {
    std::string sums;
    for (const std::string& id : {kA, kB, kC}) {
      images_.write(id, bytes_of(id));
      sums += sums_line(id, bytes_of(id));
    }
    images_.write("SHA256SUMS", sums);
    nginx_.emplace(images_.path());
  }
  void start_glance(GlanceOptions options = {}) {
    options.cache_driver = GetParam();
    glance_.emplace(std::move(options));
    for (const std::string& id : {kA, kB, kC}) glance_->create({.bytes = bytes_of(id), .id = id});
  }
  // A download by a user of Glance, through its cache.
  void download(const std::string& id) {
    const HttpReply reply = glance_->call("GET", "/v2/images/" + id + "/file");
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.body, bytes_of(id)) << id;
  }
  void mount() {
    mount_.emplace(MountSpec{.source = nginx_->url(),
                             .options = {"driver=" + GetParam(), "janitor_interval=1"},
                             .arguments = {},
                             .env = {},
                             .cache_dir = glance_->cache_dir()});
    ASSERT_EQ(mount_->status()["driver"], GetParam());
  }
  std::map<std::string, json> records() const {
    std::map<std::string, json> found;
    const json all = glance_->call("GET", "/v2/cached_images").json();
    for (const json& record : all["cached_images"]) found[record["image_id"]] = record;
    return found;
  }
  std::vector<std::string> listed() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(mount_->path()))
      if (entry.is_regular_file()) names.insert(entry.path().filename());
    return {names.begin(), names.end()};
  }
  uint64_t from_upstream() const {
    uint64_t sum = 0;
    for (const std::string& id : {kA, kB, kC}) sum += nginx_->sent_bytes("/" + id);
    return sum;
  }

  TempDir images_;
  std::optional<Nginx> nginx_;
  std::optional<GlanceServer> glance_;
  std::optional<Mounted> mount_;
};

TEST_P(Adoption, WhatGlanceCachedIsServedWithItsHitsAndTimes) {
  start_glance();
  for (const std::string& id : {kA, kA, kA, kB}) download(id);
  std::map<std::string, json> before = records();
  ASSERT_EQ(before.size(), 2u);
  ASSERT_EQ(before[kA]["hits"], 2);

  mount();
  EXPECT_THAT(listed(), ElementsAre(kA, kB));
  EXPECT_EQ(mount_->status()["images"]["cached"], 2);
  EXPECT_EQ(mount_->xattr(kA, "state"), "cached");
  EXPECT_EQ(mount_->xattr(kA, "hits"), "2");
  EXPECT_EQ(mount_->xattr(kB, "hits"), "0");
  struct stat st;
  ASSERT_EQ(::stat(mount_->path(kA).c_str(), &st), 0);
  EXPECT_EQ(static_cast<uint64_t>(st.st_size), kSize);
  // Whole seconds, on both ways.
  EXPECT_NEAR(static_cast<double>(st.st_mtime), before[kA]["last_modified"].get<double>(), 1);
  EXPECT_NEAR(static_cast<double>(st.st_atime), before[kA]["last_accessed"].get<double>(), 1);

  for (const std::string& id : {kA, kB}) EXPECT_EQ(mount_->read_all(id), bytes_of(id));
  EXPECT_EQ(from_upstream(), 0u);
  // Hits go on from there, whoever serves.
  EXPECT_TRUE(wait_until([&] { return records()[kA]["hits"] == 3; }));
  download(kA);
  EXPECT_TRUE(wait_until([&] { return mount_->xattr(kA, "hits") == "4"; }));
}

TEST_P(Adoption, LeftAgainGlanceServesWhatTheMountAdded) {
  start_glance();
  download(kA);
  mount();
  EXPECT_EQ(mount_->read_all(kC), bytes_of(kC));
  ASSERT_TRUE(mount_->wait_state(kC, "cached"));
  for (const bool running : {true, false}) {
    if (!running) {
      ASSERT_EQ(mount_->unmount(), 0);
    }
    // The store has lost them: only the cache can have what Glance gives now.
    for (const std::string& id : {kA, kC}) fs::remove(glance_->store_file(id));
    for (const std::string& id : {kA, kC}) download(id);
  }
  std::map<std::string, json> after = records();
  EXPECT_EQ(after.size(), 2u);
  EXPECT_EQ(after[kA]["hits"], 2);
  EXPECT_EQ(after[kC]["hits"], 2);
  EXPECT_EQ(after[kC]["size"], kSize);
  // Nothing of ours is in Glance's way, and its tools are content.
  for (const char* tool : {"glance-cache-cleaner", "glance-cache-pruner"}) {
    const CommandResult result = glance_->cache_tool(tool);
    EXPECT_TRUE(result.ok()) << tool << ": " << result.describe();
  }
  EXPECT_EQ(records().size(), 2u);
  glance_->remove(kC);
  EXPECT_FALSE(fs::exists(glance_->cache_dir() + "/" + kC));
  EXPECT_EQ(records().size(), 1u);
}

TEST_P(Adoption, GlancesToolsPruneCleanAndPrefetchUnderAMount) {
  start_glance({.cache_max_size = 2 * kSize});
  mount();
  for (const std::string& id : {kB, kA, kC}) {
    EXPECT_EQ(mount_->read_all(id), bytes_of(id));
    ASSERT_TRUE(mount_->wait_state(id, "cached"));
    ::sleep(1);  // the xattr driver knows whole seconds
  }
  const uint64_t before = from_upstream();
  CommandResult tool = glance_->cache_tool("glance-cache-pruner");
  ASSERT_TRUE(tool.ok()) << tool.describe();
  EXPECT_THAT(listed(), ElementsAre(kA, kC));

  ASSERT_EQ(mount_->unmount(), 0);  // a daemon would take what is queued before the prefetcher does
  std::ofstream(glance_->cache_dir() + "/invalid/" + kA) << "failed";
  tool = glance_->cache_tool("glance-cache-cleaner");
  ASSERT_TRUE(tool.ok()) << tool.describe();
  EXPECT_FALSE(fs::exists(glance_->cache_dir() + "/invalid/" + kA));
  EXPECT_EQ(glance_->call("PUT", "/v2/queued_images/" + kB).status, 200);
  tool = glance_->cache_tool("glance-cache-prefetcher");
  ASSERT_TRUE(tool.ok()) << tool.describe();
  EXPECT_FALSE(fs::exists(glance_->cache_dir() + "/queue/" + kB));
  mount_->start();
  EXPECT_THAT(listed(), ElementsAre(kA, kB, kC));
  for (const std::string& id : {kA, kB, kC}) EXPECT_EQ(mount_->read_all(id), bytes_of(id));
  EXPECT_EQ(from_upstream(), before);

  // Deleted in Glance, it is gone from the cache, and from the list.
  glance_->remove(kB);
  EXPECT_THAT(listed(), ElementsAre(kA, kC));
}

TEST_P(Adoption, AFileThatWasHarmedSinceIsFoundAndFetchedAnew) {
  start_glance();
  for (const std::string& id : {kA, kB}) download(id);
  glance_->stop();  // what is in memory only comes to the disk
  for (const std::string& source : {nginx_->url(), "glance+" + glance_->url()}) {
    SCOPED_TRACE(source);
    // A directory has one source; and Glance, which may be the source, is to keep its own.
    TempDir dir;
    const std::string cache = dir.file("cache");
    ASSERT_TRUE(run({"cp", "-a", glance_->cache_dir(), cache}).ok());
    std::string harmed = bytes_of(kA);
    harmed[kSize / 2] ^= 1;
    // In place: row and attributes stay what Glance made them.
    std::fstream(cache + "/" + kA, std::ios::in | std::ios::out | std::ios::binary) << harmed;
    glance_->start();
    mount_.emplace(MountSpec{.source = source,
                             .options = {"driver=" + GetParam()},
                             .arguments = {},
                             .env = {},
                             .cache_dir = cache});
    ASSERT_EQ(mount_->status()["driver"], GetParam());
    for (const std::string& id : {kA, kB}) EXPECT_EQ(mount_->xattr(id, "verified"), "0");

    const int open_since_before = ::open(mount_->path(kA).c_str(), O_RDONLY);
    ASSERT_GE(open_since_before, 0);
    ASSERT_TRUE(wait_until([&] { return fs::exists(cache + "/invalid/" + kA); }));
    EXPECT_EQ(mount_->read_all(kA), bytes_of(kA));
    EXPECT_EQ(mount_->xattr(kA, "verified"), "1");
    EXPECT_THAT(mount_->log(), HasSubstr(kA + ": wrong checksum"));
    char byte;
    EXPECT_EQ(::pread(open_since_before, &byte, 1, 0), -1);
    EXPECT_EQ(errno, EIO);
    ::close(open_since_before);

    EXPECT_EQ(mount_->read_all(kB), bytes_of(kB));
    EXPECT_TRUE(wait_until([&] { return mount_->xattr(kB, "verified") == "1"; }));
    const auto sum = mount_->xattr(kB, "checksum");
    ASSERT_TRUE(sum);
    EXPECT_THAT(*sum, StartsWith(source.starts_with("glance+") ? "sha512:" : "sha256:"));
    EXPECT_EQ(mount_->unmount(), 0);
    glance_->stop();
  }
  EXPECT_EQ(nginx_->sent_bytes("/" + kA), kSize);
  EXPECT_EQ(nginx_->sent_bytes("/" + kB), 0u);
}

INSTANTIATE_TEST_SUITE_P(Drivers, Adoption, testing::Values("sqlite", "xattr"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace imgcachefs::test
