// imgcachectl map: on directories that hold what a daemon left, and beside one that is filling.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cache/cache_layout.h"
#include "cache/chunk_map_file.h"
#include "support/checksum.h"
#include "support/fault_server.h"
#include "support/mounted.h"
#include "support/scratch_cache.h"

namespace imgcachefs::test {
namespace {

using nlohmann::json;
using testing::ContainsRegex;
using testing::HasSubstr;

constexpr uint64_t kKiB = 1 << 10, kMiB = 1 << 20;

class Map : public testing::Test {
 protected:
  void SetUp() override {
    // A cache as a daemon leaves it.
    layout_.emplace(CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value());
    layout_.emplace(CacheLayout::open(cache_.dir(), CacheLayout::Access::kTool).value());
  }
  CommandResult ctl(std::vector<std::string> args) {
    args.insert(args.begin(), {built("imgcachectl"), "-c", cache_.dir()});
    return run(args);
  }
  json map(const std::string& id) {
    CommandResult result = ctl({"map", "--json", id});
    EXPECT_EQ(result.exit_code, 0) << result.describe();
    return json::parse(result.out, nullptr, false);
  }
  // An incomplete image of ours with these chunks of 4 KiB; its file has the tail that ours have.
  void incomplete(const std::string& id, uint64_t size, const std::vector<uint32_t>& chunks) {
    cache_.file("incomplete/" + id, size + 1);
    auto map = ChunkMapFile::create(layout_->dir(Place::kMaps), id, {4096, size, {"\"e\"", ""}});
    ASSERT_TRUE(map);
    std::vector<ChunkChecksum> entries;
    for (uint32_t chunk : chunks) entries.emplace_back(chunk, 1);
    ASSERT_TRUE(map->save(entries));
  }

  ScratchCache cache_;
  std::optional<CacheLayout> layout_;
};

json range(uint64_t begin, uint64_t end) {
  return {{"begin", begin}, {"end", end}};
}

TEST_F(Map, GivesThePresentRangesOfAnIncompleteImage) {
  incomplete("half", 10 * 4096 + 5, {0, 1, 2, 6, 10});
  EXPECT_EQ(
      map("half"),
      (json{{"image_id", "half"},
            {"state", "incomplete"},
            {"size", 10 * 4096 + 5},
            {"chunk_size", 4096},
            {"present_bytes", 4 * 4096 + 5},
            {"present",
             {range(0, 3 * 4096), range(6 * 4096, 7 * 4096), range(10 * 4096, 10 * 4096 + 5)}}}));
}

TEST_F(Map, OfACachedImageAllIsThereAndOfAnEmptyOneNothing) {
  cache_.file("whole", 5000);
  cache_.file("empty", 0);
  EXPECT_EQ(map("whole")["present"], json::array({range(0, 5000)}));
  EXPECT_EQ(map("whole")["state"], "cached");
  EXPECT_EQ(map("whole")["chunk_size"], nullptr);
  EXPECT_EQ(map("empty")["present"], json::array());
  EXPECT_EQ(map("empty")["size"], 0);
  EXPECT_EQ(ctl({"map", "empty"}).exit_code, 0);
  EXPECT_THAT(ctl({"map", "whole"}).out, HasSubstr("\n       0 B # "));
}

TEST_F(Map, WithoutAMapNothingIsKnownToBeThere) {
  cache_.file("incomplete/glances", 5000);
  EXPECT_EQ(map("glances")["present"], json::array());
  EXPECT_EQ(map("glances")["size"], 5000);
  // Glance has begun to fill the file that a map of ours is about.
  incomplete("taken", 8192, {0});
  cache_.file("incomplete/taken", 5000);
  EXPECT_EQ(map("taken")["present"], json::array());
  cache_.file("maps/harmed", 100);
  cache_.file("incomplete/harmed", 5000);
  EXPECT_EQ(map("harmed")["present"], json::array());
}

TEST_F(Map, WhatIsNotThereIs3) {
  cache_.file("queue/queued", 0);
  for (const char* id : {"nothing", "queued"}) {
    CommandResult result = ctl({"map", id});
    EXPECT_EQ(result.exit_code, 3) << result.describe();
    EXPECT_THAT(result.err, HasSubstr(std::string(id) + ": not cached"));
    EXPECT_EQ(result.out, "");
  }
}

TEST_F(Map, IsDrawn) {
  incomplete("half", 100 * 4096, {0, 1, 2, 64, 99});
  CommandResult result = ctl({"map", "half"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out, ContainsRegex("present: +20.0 KiB [(]20480 bytes, 5 %[)], 3 ranges\n"));
  EXPECT_THAT(result.out, HasSubstr("\n       0 B ###" + std::string(61, '.') + "   4%\n"));
  EXPECT_THAT(result.out, HasSubstr("\n 256.0 KiB #" + std::string(34, '.') + "#" +
                                    std::string(28, ' ') + "   5%\n"));
  EXPECT_THAT(result.out, HasSubstr("# present  + partly  . absent  (4.0 KiB each)"));
}

TEST(MapOfAMount, ShowsWhatWasReadOfAnIncompleteImage) {
  FaultServer server;
  server.put("/images/image", Content::generated(4 * kMiB));
  Mounted mount({.source = server.url("/images/"), .options = {"fill=demand", "chunk_size=64K"}});
  ASSERT_EQ(mount.read("image", kMiB, 10).size(), 10u);
  ASSERT_EQ(mount.read("image", 4 * kMiB - 5, 5).size(), 5u);
  const auto map = [&](const std::string& option, const std::string& where) {
    return json::parse(run({built("imgcachectl"), option, where, "map", "--json", "image"}).out,
                       nullptr, false);
  };
  const auto is_present = [](const json& map, uint64_t at) {
    for (const json& range : map["present"])
      if (range["begin"] <= at && at < range["end"]) return true;
    return false;
  };
  // The saved map may lag by a second.
  EXPECT_TRUE(wait_until([&] {
    const json now = map("-m", mount.path());
    return is_present(now, kMiB) && is_present(now, 4 * kMiB - 1);
  }));
  const json before = map("-m", mount.path());
  EXPECT_EQ(before["state"], "incomplete");
  EXPECT_EQ(before["size"], 4 * kMiB);
  EXPECT_EQ(before["chunk_size"], 64 * kKiB);
  EXPECT_FALSE(is_present(before, 2 * kMiB + 512 * kKiB));
  EXPECT_EQ(mount.unmount(), 0);
  const json after = map("-c", mount.cache_dir());  // and without a daemon
  EXPECT_TRUE(is_present(after, kMiB));
  EXPECT_FALSE(is_present(after, 2 * kMiB + 512 * kKiB));
}

}  // namespace
}  // namespace imgcachefs::test
