// kill -9 at moments that nobody chose, with fills, commits and the index at work: the next mount
// comes up, and what it calls cached is right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "cache/cache_layout.h"
#include "cache/sqlite_index.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/nginx.h"
#include "support/program.h"

namespace imgcachefs::test {
namespace {

using namespace std::chrono_literals;
using testing::UnorderedElementsAre;
namespace files = std::filesystem;

class AnyMoment : public testing::Test {
 protected:
  AnyMoment() {
    std::string sums;
    for (int i = 0; i < 8; ++i) {
      const std::string name = "image-" + std::to_string(i);
      const std::string bytes = pattern_string(100 + i, 0, 1000 + i * i * 37'000);
      images_.write(name, bytes);
      sums += sums_line(name, bytes);
      expected_.emplace(name, bytes);
    }
    images_.write("SHA256SUMS", sums);
    nginx_.emplace(images_.path());
    mount_.emplace(MountSpec{.source = nginx_->url(), .options = {"fill=full"}});
    cache_ = mount_->cache_dir();
  }

  // What lies there as an image, of ours or not.
  std::vector<std::string> cached_files() const {
    std::vector<std::string> names;
    for (const auto& entry : files::directory_iterator(cache_))
      if (entry.is_regular_file() && !entry.path().filename().string().starts_with("cache.db"))
        names.push_back(entry.path().filename());
    return names;
  }
  // The rows of the index, as the disk has them.
  std::vector<std::string> rows() const {
    auto layout = CacheLayout::open(cache_, CacheLayout::Access::kTool);
    auto index = open_sqlite_index(*layout, false);
    std::vector<std::string> names;
    if (auto all = (*index)->all())
      for (const IndexRecord& record : *all) names.push_back(record.id.str());
    return names;
  }

  TempDir images_;
  std::map<std::string, std::string> expected_;
  std::optional<Nginx> nginx_;
  std::optional<Mounted> mount_;
  files::path cache_;
};

TEST_F(AnyMoment, WhatIsCachedIsRightAndWhatIsServedToo) {
  std::mt19937 random(static_cast<unsigned>(::getpid()));
  size_t survived = 0, maps = 0;
  for (int round = 0; round < 10; ++round) {
    // In turn: programs that read all at once, with commits and the index at work, and fills that
    // take a while, with chunk maps being saved.
    const bool slow = round % 2;
    const auto moment = std::chrono::milliseconds(random() % (slow ? 1000 : 50));
    std::vector<std::thread> readers;
    for (const auto& [name, bytes] : expected_)
      readers.emplace_back([&] {
        const uint64_t end = slow ? 1 : bytes.size();
        const Got got = read_path(mount_->path(name), {.end = end});
        EXPECT_TRUE(bytes.starts_with(got.bytes)) << name;
        EXPECT_TRUE(got.error != 0 || got.bytes.size() == end) << name;
      });
    std::this_thread::sleep_for(moment);
    mount_->kill9();
    for (std::thread& reader : readers) reader.join();

    const auto found = cached_files();
    survived += found.size();
    for (const auto& entry : files::directory_iterator(cache_ / "maps"))
      maps += entry.is_regular_file();
    for (const std::string& name : found) {
      ASSERT_TRUE(expected_.contains(name)) << name;
      EXPECT_TRUE(read_file(cache_ / name) == expected_[name])
          << name << " after " << moment.count() << " ms";
    }
    mount_->options() = {"fill=full", slow ? "limit_rate=1G" : "limit_rate=5M"};
    const CommandResult mounted = mount_->try_start();
    ASSERT_TRUE(mounted.ok()) << mounted.describe() << mount_->log();
    EXPECT_THAT(rows(), testing::UnorderedElementsAreArray(found));
    for (const std::string& name : found) EXPECT_EQ(mount_->xattr(name, "state"), "cached") << name;
    // Something to do for the next round: images that are gone, with their rows left over.
    for (const std::string& name : found)
      if (random() % 8) files::remove(cache_ / name);
  }
  for (const auto& [name, bytes] : expected_) {
    EXPECT_TRUE(mount_->read_all(name) == bytes) << name;
    EXPECT_EQ(mount_->xattr(name, "state"), "cached") << name;
  }
  EXPECT_EQ(mount_->unmount(), 0);
  EXPECT_EQ(rows().size(), expected_.size());
  RecordProperty("cached_files_found", static_cast<int>(survived));
  RecordProperty("maps_found", static_cast<int>(maps));
}

TEST_F(AnyMoment, RowsAndFilesThatLackEachOtherAreRepaired) {
  for (const char* name : {"image-1", "image-2"}) mount_->read_all(name);
  mount_->kill9();
  files::remove(cache_ / "image-1");                                 // a row without file
  files::copy_file(images_.path() / "image-3", cache_ / "image-3");  // a file without row
  files::copy_file(images_.path() / "image-4", cache_ / "incomplete/image-4");  // and a stray one
  files::last_write_time(cache_ / "incomplete/image-4",
                         files::file_time_type::clock::now() - std::chrono::minutes(2));
  mount_->start();
  EXPECT_THAT(rows(), UnorderedElementsAre("image-2", "image-3"));
  EXPECT_EQ(mount_->xattr("image-1", "state"), "uncached");
  EXPECT_EQ(mount_->xattr("image-2", "verified"), "1");
  EXPECT_EQ(mount_->xattr("image-3", "state"), "cached");
  EXPECT_EQ(mount_->xattr("image-3", "verified"), "0");  // nobody has seen to it
  for (const auto& [name, bytes] : expected_) EXPECT_TRUE(mount_->read_all(name) == bytes) << name;
  // The log comes a moment after the bytes.
  EXPECT_TRUE(wait_until([&] {
    return nginx_->sent_bytes("/image-1") >= 2 * expected_["image-1"].size() &&
           nginx_->sent_bytes("/image-4") >= expected_["image-4"].size();
  }));
  EXPECT_EQ(nginx_->sent_bytes("/image-3"), 0u);
  EXPECT_EQ(nginx_->sent_bytes("/image-2"), expected_["image-2"].size());
  EXPECT_EQ(nginx_->sent_bytes("/image-1"), 2 * expected_["image-1"].size());
  EXPECT_EQ(nginx_->sent_bytes("/image-4"), expected_["image-4"].size());
}

TEST_F(AnyMoment, AnIndexThatIsNoDatabaseAnyMoreIsMadeAnew) {
  mount_->read_all("image-2");
  mount_->kill9();
  std::string garbage = pattern_string(3, 0, 5000);
  files::resize_file(cache_ / "cache.db", 0);
  for (const std::string& text : {garbage, std::string(), std::string("SQLite format 3")}) {
    std::ofstream(cache_ / "cache.db", std::ios::binary | std::ios::trunc) << text;
    const CommandResult mounted = mount_->try_start();
    ASSERT_TRUE(mounted.ok()) << mounted.describe();
    EXPECT_EQ(mount_->xattr("image-2", "state"), "cached");
    EXPECT_TRUE(mount_->read_all("image-2") == expected_["image-2"]);
    mount_->kill9();
  }
  EXPECT_EQ(nginx_->sent_bytes("/image-2"), expected_["image-2"].size());
}

}  // namespace
}  // namespace imgcachefs::test
