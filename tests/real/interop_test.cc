// One cache directory, and both programs: Glance's own classes and tools, and a mount.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/posix.h"
#include "real/glance_cache.h"
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
using testing::IsEmpty;

constexpr uint64_t kSize = 1 << 20;
const std::string kA = "aaaaaaaa-0000-4000-8000-000000000001";
const std::string kB = "bbbbbbbb-0000-4000-8000-000000000002";
const std::string kC = "cccccccc-0000-4000-8000-000000000003";
const std::string kD = "dddddddd-0000-4000-8000-000000000004";

std::string bytes_of(const std::string& id, uint64_t size = kSize) {
  return pattern_string(std::hash<std::string>()(id), 0, size);
}

std::vector<std::string> files_in(const std::string& dir) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir))
    if (entry.is_regular_file()) names.insert(entry.path().filename());
  return {names.begin(), names.end()};
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

class Interop : public testing::TestWithParam<std::string> {
 protected:
  Interop() {
    std::string sums;
    for (const std::string& id : {kA, kB, kC, kD}) {
      images_.write(id, bytes_of(id));
      sums += sums_line(id, bytes_of(id));
    }
    images_.write("SHA256SUMS", sums);
    nginx_.emplace(images_.path());
  }

  void mount(std::vector<std::string> options = {}, const std::string& cache_dir = {}) {
    options.push_back("driver=" + GetParam());
    options.push_back("janitor_interval=1");  // what others did to the directory is counted then
    mount_.emplace(MountSpec{.source = nginx_->url(),
                             .options = std::move(options),
                             .arguments = {},
                             .env = {},
                             .cache_dir = cache_dir});
    ASSERT_EQ(mount_->status()["driver"], GetParam());
  }
  GlanceCache glance(std::map<std::string, uint64_t> options = {}) const {
    return {mount_->cache_dir(), GetParam(), std::move(options)};
  }
  CommandResult ctl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {built("imgcachectl"), "-m", mount_->path()});
    return run(arguments);
  }
  void cache(const std::vector<std::string>& ids) const {
    for (const std::string& id : ids) {
      ASSERT_EQ(mount_->read_all(id), bytes_of(id)) << id;
      ASSERT_TRUE(mount_->wait_state(id, "cached")) << mount_->log();
    }
  }
  // What the index says of hits once those of the mount have been written.
  bool wait_hits(const std::string& id, int hits) const {
    return wait_until([&] { return glance().call("get_hit_count", {id}) == hits; });
  }
  std::vector<std::string> listed() const { return files_in(mount_->path()); }
  // Nothing is lost or harmed: every image can be read, and is then listed and counted.
  void expect_right() const {
    cache({kA, kB, kC, kD});
    EXPECT_THAT(listed(), ElementsAre(kA, kB, kC, kD));
    EXPECT_EQ(mount_->status()["images"]["cached"], 4);
    EXPECT_TRUE(wait_until([&] { return mount_->status()["used"] == 4 * kSize; }));
    EXPECT_THAT(files_in(mount_->cache_dir() + "/incomplete"), IsEmpty());
  }

  TempDir images_;
  std::optional<Nginx> nginx_;
  std::optional<Mounted> mount_;
};

std::string md5_of(const std::string& id) {
  return hex_digest(bytes_of(id), DigestAlgo::kMd5);
}

TEST_P(Interop, GlanceListsWhatTheMountFilled) {
  const double before = now();
  mount();
  cache({kB, kA});
  EXPECT_EQ(mount_->read_all(kA), bytes_of(kA));  // a hit
  ASSERT_TRUE(wait_hits(kA, 1));
  for (const bool running : {true, false}) {
    if (!running) {
      ASSERT_EQ(mount_->unmount(), 0);
    }
    const json results = glance().calls({{"get_cached_images"},
                                         {"is_cached", kA},
                                         {"is_cached", kC},
                                         {"is_cacheable", kA},
                                         {"is_cacheable", kC},
                                         {"is_being_cached", kA},
                                         {"get_cache_size"},
                                         {"get_image_size", kB},
                                         {"get_hit_count", kB},
                                         {"driver"}});
    std::map<std::string, json> records;
    for (const json& record : results[0]) records[record["image_id"]] = record;
    ASSERT_EQ(records.size(), 2u) << results[0];
    // The sqlite driver orders by ID; the xattr driver as the directory has it.
    if (GetParam() == "sqlite") {
      EXPECT_EQ(results[0][0]["image_id"], kA);
    }
    EXPECT_EQ(records[kA]["hits"], 1);
    EXPECT_EQ(records[kB]["hits"], 0);
    for (const auto& [id, record] : records) {
      EXPECT_EQ(record["size"], kSize) << id;
      EXPECT_GE(record["last_modified"].get<double>(), before - 2) << id;
      EXPECT_GE(record["last_accessed"].get<double>(), record["last_modified"].get<double>() - 1)
          << id;
      EXPECT_LE(record["last_accessed"].get<double>(), now() + 1) << id;
    }
    EXPECT_EQ(json(results.begin() + 1, results.end()),
              json({true, false, false, true, false, 2 * kSize, kSize, 0, GetParam()}));
  }
}

TEST_P(Interop, HitsOfBothAreCountedTogether) {
  mount();
  cache({kA, kB});
  const json read = glance().calls({{"read", kA}, {"read", kA}, {"read_half", kB}});
  for (const int i : {0, 1}) EXPECT_EQ(read[i]["md5"], md5_of(kA)) << read;
  EXPECT_EQ(mount_->read_all(kA), bytes_of(kA));
  EXPECT_TRUE(wait_hits(kA, 3));
  EXPECT_EQ(mount_->xattr(kA, "hits"), "3");
  // Glance counts who read it to the end.
  EXPECT_EQ(glance().call("get_hit_count", {kB}), 0);

  ASSERT_EQ(mount_->unmount(), 0);
  EXPECT_EQ(glance().call("read", {kA})["md5"], md5_of(kA));
  EXPECT_EQ(glance().call("get_hit_count", {kA}), 4);
  mount_->start();
  EXPECT_EQ(mount_->xattr(kA, "hits"), "4");
  expect_right();
}

TEST_P(Interop, WhatGlanceDeletesIsFetchedAnewAndStaysWithWhoHasItOpen) {
  mount();
  cache({kA, kB, kC});
  UniqueFd open_one(::open(mount_->path(kA).c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(open_one);
  glance().call("delete_cached_image", {kA});
  EXPECT_THAT(listed(), ElementsAre(kB, kC));
  std::string byte(1, 0);
  ASSERT_EQ(::pread(open_one.get(), byte.data(), 1, kSize - 1), 1);
  EXPECT_EQ(byte, bytes_of(kA).substr(kSize - 1));
  open_one.reset();
  EXPECT_EQ(nginx_->sent_bytes("/" + kA), kSize);
  cache({kA});
  EXPECT_EQ(nginx_->sent_bytes("/" + kA), 2 * kSize);

  // Its sqlite driver makes a lock file of its own in the directory, and deletes that too.
  EXPECT_GE(glance().call("delete_all_cached_images"), 3);
  EXPECT_THAT(listed(), IsEmpty());
  expect_right();

  ASSERT_EQ(mount_->unmount(), 0);
  glance().call("delete_cached_image", {kB});
  mount_->start();
  EXPECT_THAT(listed(), ElementsAre(kA, kC, kD));
  EXPECT_EQ(mount_->status()["images"]["cached"], 3);
  expect_right();
}

TEST_P(Interop, GlancePrunesWhatTheMountUsedLeastRecently) {
  mount();
  for (const std::string& id : {kA, kB, kC, kD}) {
    cache({id});
    ::sleep(1);  // the xattr driver knows whole seconds
  }
  EXPECT_EQ(mount_->read_all(kA), bytes_of(kA));  // the oldest, but used last
  ASSERT_TRUE(wait_hits(kA, 1));
  EXPECT_EQ(glance().call("get_least_recently_accessed"), json({kB, kSize}));
  EXPECT_EQ(glance({{"image_cache_max_size", 4 * kSize}}).call("prune"), json({0, 0}));
  EXPECT_EQ(glance({{"image_cache_max_size", 2 * kSize}}).call("prune"), json({2, 2 * kSize}));
  EXPECT_THAT(listed(), ElementsAre(kA, kD));
  expect_right();

  ASSERT_EQ(mount_->unmount(), 0);
  EXPECT_EQ(glance({{"image_cache_max_size", 0}}).call("prune"), json({4, 4 * kSize}));
  mount_->start();
  EXPECT_THAT(listed(), IsEmpty());
  expect_right();
}

TEST_P(Interop, GlanceCleansWhatWeLeftInvalidOrIncomplete) {
  // Its first bytes differ from what SHA256SUMS says.
  images_.write(kB, "wrong" + bytes_of(kB).substr(5));
  mount({"fill=demand"});
  EXPECT_EQ(read_path(mount_->path(kB)).error, EIO);
  ASSERT_TRUE(wait_until([&] { return !files_in(mount_->cache_dir() + "/invalid").empty(); }));
  EXPECT_EQ(mount_->read(kA, 0, 4096), bytes_of(kA).substr(0, 4096));
  ASSERT_THAT(files_in(mount_->cache_dir() + "/incomplete"), ElementsAre(kA));

  // A fresh incomplete image stays, an invalid one goes whatever its age.
  EXPECT_EQ(
      glance().calls(
          {{"is_being_cached", kA}, {"is_cacheable", kA}, {"clean"}, {"is_being_cached", kA}}),
      json({true, false, nullptr, true}));
  EXPECT_THAT(files_in(mount_->cache_dir() + "/invalid"), IsEmpty());

  // Glance takes away what is being filled under a reader, who is none the wiser.
  UniqueFd reader(::open(mount_->path(kA).c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(reader);
  glance().call("clean", {0});
  EXPECT_THAT(files_in(mount_->cache_dir() + "/incomplete"), IsEmpty());
  EXPECT_EQ(read_fd(reader.get()).bytes, bytes_of(kA)) << mount_->log();
  reader.reset();

  images_.write(kB, bytes_of(kB));
  ASSERT_EQ(mount_->unmount(), 0);
  std::ofstream(mount_->cache_dir() + "/incomplete/" + kA) << "left over by a Glance that died";
  glance().call("clean", {0});
  EXPECT_THAT(files_in(mount_->cache_dir() + "/incomplete"), IsEmpty());
  mount_->start();
  expect_right();
}

TEST_P(Interop, GlanceCachesAnImageThatTheMountThenServes) {
  mount();
  cache({kB});
  const json results = glance().calls({{"cache", kA, images_.file(kA)},
                                       {"cache", kB, images_.file(kB)},  // is cached
                                       {"tee", kC, images_.file(kC), md5_of(kC)},
                                       {"tee_half", kD, images_.file(kD)}});
  EXPECT_EQ(results[0], true);
  EXPECT_EQ(results[1], false);
  EXPECT_EQ(results[2]["md5"], md5_of(kC));
  EXPECT_THAT(listed(), ElementsAre(kA, kB, kC));
  cache({kA, kC});
  EXPECT_EQ(nginx_->sent_bytes("/" + kA), 0u);
  EXPECT_EQ(nginx_->sent_bytes("/" + kC), 0u);
  EXPECT_THAT(files_in(mount_->cache_dir() + "/invalid"), ElementsAre(kD));  // its reader left
  expect_right();
}

TEST_P(Interop, AnImageThatTheMountIsFillingIsNotGlances) {
  mount({"fill=demand"});
  EXPECT_EQ(mount_->read(kA, 0, 4096), bytes_of(kA).substr(0, 4096));
  const json results = glance().calls({{"is_being_cached", kA},
                                       {"is_cacheable", kA},
                                       {"queue_image", kA},
                                       {"cache", kA, images_.file(kA)},
                                       {"tee", kA, images_.file(kA), md5_of(kA)}});
  EXPECT_EQ(json(results.begin(), results.begin() + 4), json({true, false, false, false}));
  EXPECT_EQ(results[4]["md5"], md5_of(kA));  // served around Glance's cache
  EXPECT_EQ(mount_->xattr(kA, "state"), "incomplete");
  expect_right();
}

TEST_P(Interop, AQueueFileOfGlanceCounts) {
  mount();
  cache({kA});
  ASSERT_EQ(mount_->unmount(), 0);  // else the daemon takes them at once
  EXPECT_EQ(glance().call("queue_image", {kC}), true);
  const json results = glance().calls({{"queue_image", kB},
                                       {"queue_image", kB},
                                       {"queue_image", kA},
                                       {"is_queued", kB},
                                       {"get_queued_images"},
                                       {"delete_queued_image", kC},
                                       {"get_queued_images"},
                                       {"delete_all_queued_images"},
                                       {"is_queued", kB}});
  EXPECT_EQ(results, json({true, false, false, true, json::array({kC, kB}), nullptr,
                           json::array({kB}), 1, false}));
  mount_->start();
  expect_right();
}

INSTANTIATE_TEST_SUITE_P(Drivers, Interop, testing::Values("sqlite", "xattr"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace imgcachefs::test
