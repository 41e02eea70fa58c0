// The real imgcachectl on real directories: what DESIGN 2.6 promises to scripts.

#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "cache/chunk_map_file.h"
#include "cache/index_driver.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/process.h"
#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::CommandResult;
using test::InUse;
using test::ScratchCache;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::StartsWith;

// The driver.
class Imgcachectl : public testing::TestWithParam<const char*> {
 protected:
  CommandResult ctl(std::vector<std::string> args) {
    args.insert(args.begin(), {test::built("imgcachectl"), "-c", cache_.dir()});
    return test::run(args);
  }
  json ctl_json(std::vector<std::string> args) {
    args.push_back("--json");
    CommandResult result = ctl(std::move(args));
    EXPECT_EQ(result.exit_code, 0) << result.describe();
    return json::parse(result.out, nullptr, false);
  }

  // A cache as a daemon leaves it.
  void make_cache() {
    layout_.emplace(CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value());
    index_ = open_index(*layout_, GetParam()).value();
    ASSERT_EQ(index_->driver(), GetParam());
  }
  void end_daemon() {
    index_.reset();
    layout_.reset();
  }
  void cached(std::string_view name, size_t size, double used_at = 1795149842.78,
              bool pinned = false) {
    cache_.file(name, size);
    IndexRecord record{ImageId::parse(name).value(),
                       size,
                       4,
                       from_unix(1795149000),
                       from_unix(used_at),
                       Digest::parse_tagged("md5:0123456789abcdef0123456789abcdef").value(),
                       true,
                       {"\"e\"", ""},
                       pinned};
    ASSERT_TRUE(index_->put(record));
  }

  ScratchCache cache_;
  std::optional<CacheLayout> layout_;
  std::unique_ptr<CacheIndex> index_;
};

std::vector<std::string> ids(const json& images) {
  std::vector<std::string> out;
  for (const json& image : images) out.push_back(image["image_id"]);
  return out;
}

TEST_P(Imgcachectl, ListGivesGlancesRecordAndOursBesideIt) {
  make_cache();
  cached("a", 1000);
  json expected = {{"image_id", "a"},
                   {"hits", 4},
                   {"last_modified", "2026-11-20T04:30:00Z"},
                   {"last_accessed", "2026-11-20T04:44:02Z"},
                   {"size", 1000},
                   {"state", "cached"},
                   {"cached_bytes", 1000},
                   {"checksum", "md5:0123456789abcdef0123456789abcdef"},
                   {"verified", true},
                   {"pinned", false}};
  EXPECT_EQ(ctl_json({"list"}), json::array({expected}));
  end_daemon();  // and no difference without a daemon
  EXPECT_EQ(ctl_json({"list"}), json::array({expected}));
}

TEST_P(Imgcachectl, ListIsWhatLiesInTheDirectory) {
  make_cache();
  cached("b", 10);
  cached("gone", 10);
  std::filesystem::remove(cache_.path("gone"));
  cache_.file("a", 7);
  json images = ctl_json({"list"});
  EXPECT_THAT(ids(images), ElementsAre("a", "b"));
  EXPECT_EQ(images[0]["size"], 7);
  EXPECT_EQ(images[0]["hits"], 0);
  EXPECT_EQ(images[0]["checksum"], nullptr);
}

TEST_P(Imgcachectl, ListsTheOtherPlaces) {
  make_cache();
  cached("a", 10);
  cache_.file("incomplete/half", 4096);
  cache_.file("invalid/bad", 10);
  cache_.file("queue/second", 0, 10s);
  cache_.file("queue/first", 0, 20s);
  EXPECT_THAT(ids(ctl_json({"list", "--incomplete"})), ElementsAre("half"));
  EXPECT_EQ(ctl_json({"list", "--incomplete"})[0]["state"], "incomplete");
  EXPECT_THAT(ids(ctl_json({"list", "--invalid"})), ElementsAre("bad"));
  EXPECT_THAT(ids(ctl_json({"list", "--queued"})), ElementsAre("first", "second"));
  EXPECT_EQ(ctl({"list", "--queued", "--invalid"}).exit_code, 2);
}

TEST_P(Imgcachectl, AnIncompleteImageIsAsLongAsItIs) {
  make_cache();
  const int maps = layout_->dir(Place::kMaps);
  for (const char* name : {"ours", "glances-now"})
    ASSERT_TRUE(ChunkMapFile::create(maps, name, {4096, 8192, {"\"e\"", ""}}));
  cache_.file("incomplete/ours", 8193);
  cache_.file("incomplete/begun", 8193);  // by a daemon, which has not saved its map yet
  InUse daemon(cache_.path("incomplete/begun"));
  cache_.file("incomplete/glances", 8193);
  cache_.file("incomplete/glances-now", 5000);
  const std::map<std::string, int> sizes = {
      {"ours", 8192}, {"begun", 8192}, {"glances", 8193}, {"glances-now", 5000}};
  const json images = ctl_json({"list", "--incomplete"});
  EXPECT_EQ(images.size(), sizes.size());
  for (const json& image : images) {
    const std::string id = image["image_id"];
    EXPECT_EQ(image["size"], sizes.at(id)) << id;
    EXPECT_LE(image["cached_bytes"], image["size"]) << id;
    EXPECT_EQ(ctl_json({"info", id})["size"], sizes.at(id)) << id;
  }
}

TEST_P(Imgcachectl, ListForPeopleIsATable) {
  make_cache();
  cached("a-long-name", 3 << 20);
  cached("b", 10, 1795149842, true);
  cached("c", 10, to_unix(std::chrono::system_clock::now()) - 190);
  CommandResult result = ctl({"list"});
  EXPECT_EQ(result.exit_code, 0);
  std::istringstream lines(result.out);
  std::string titles, a, b, c;
  std::getline(lines, titles);
  std::getline(lines, a);
  std::getline(lines, b);
  std::getline(lines, c);
  EXPECT_THAT(titles,
              MatchesRegex("IMAGE ID        SIZE  LAST ACCESSED +HITS  VERIFIED  PINNED  CACHED"));
  EXPECT_THAT(a, MatchesRegex("a-long-name  3.0 MiB  .* ago +4  yes       no      .* ago"));
  EXPECT_THAT(b, MatchesRegex("b               10 B  .* ago +4  yes       yes     .* ago"));
  EXPECT_THAT(c, MatchesRegex("c               10 B  3 minutes ago +4  yes       no      .* ago"));
}

TEST_P(Imgcachectl, ListGivesIdsAloneForPipes) {
  make_cache();
  cached("b", 10);
  cached("a c", 10);
  cache_.file("queue/q", 0);
  EXPECT_EQ(ctl({"list", "--ids"}).out, "a c\nb\n");
  EXPECT_EQ(ctl({"list", "--queued", "--ids"}).out, "q\n");
  EXPECT_EQ(ctl_json({"list", "--ids"}), (json{"a c", "b"}));
  EXPECT_EQ(ctl({"list", "--invalid", "--ids"}).out, "");
}

TEST_P(Imgcachectl, InfoTellsOfOneImage) {
  make_cache();
  cached("a", 1000);
  json info = ctl_json({"info", "a"});
  EXPECT_EQ(info["image_id"], "a");
  EXPECT_EQ(info["state"], "cached");
  EXPECT_EQ(info["etag"], "\"e\"");
  EXPECT_THAT(ctl({"info", "a"}).out,
              ContainsRegex("last accessed: +2026-11-20T04:44:02Z [(].* ago[)]\n"));
  EXPECT_THAT(ctl({"info", "a"}).out, ContainsRegex("size: +1000 B [(]1000 bytes[)]\n"));
  cache_.file("incomplete/half", 4096);
  EXPECT_EQ(ctl_json({"info", "half"})["state"], "incomplete");
}

TEST_P(Imgcachectl, InfoOfWhatIsNotThereIs3) {
  make_cache();
  CommandResult result = ctl({"info", "nothing"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_THAT(result.err, HasSubstr("nothing"));
  EXPECT_THAT(result.out, IsEmpty());
}

TEST_P(Imgcachectl, StatusOfADirectoryTellsWhatLiesInIt) {
  make_cache();
  ASSERT_TRUE(index_->set_source("http://host/images/"));
  cached("a", 1000);
  cache_.file("queue/q", 0);
  json status = ctl_json({"status"});
  EXPECT_EQ(status["cache_dir"], cache_.dir());
  EXPECT_EQ(status["source"], "http://host/images/");
  EXPECT_EQ(status["driver"], GetParam());
  EXPECT_EQ(status["mounted"], true);
  EXPECT_EQ(status["used"], 1000);
  EXPECT_EQ(status["images"],
            (json{{"cached", 1}, {"incomplete", 0}, {"invalid", 0}, {"queued", 1}}));
  end_daemon();
  EXPECT_EQ(ctl_json({"status"})["mounted"], false);
  EXPECT_THAT(ctl({"status"}).out, ContainsRegex("\ncached: +1\n"));
  EXPECT_THAT(ctl({"status"}).out, ContainsRegex("\nmounted: +no\n"));
}

TEST_P(Imgcachectl, EvictsImagesAndTheirRows) {
  make_cache();
  cached("a", 10);
  cached("b", 20);
  cache_.file("incomplete/c", 10);
  cache_.file("maps/c", 1);
  json result = ctl_json({"evict", "a", "c"});
  EXPECT_THAT(ids(result["images"]), ElementsAre("a", "c"));
  EXPECT_EQ(result["files"], 2);
  for (const char* gone : {"a", "incomplete/c", "maps/c"}) EXPECT_FALSE(cache_.has(gone)) << gone;
  EXPECT_FALSE(index_->find(ImageId::parse("a").value()).value());
  EXPECT_TRUE(cache_.has("b"));
}

TEST_P(Imgcachectl, EvictSaysWhatItCouldNotDo) {
  make_cache();
  cached("free", 10);
  cached("pinned", 10, 1795149842, true);
  cached("open", 10);
  InUse reader(cache_.path("open"));
  EXPECT_EQ(ctl({"evict", "nothing"}).exit_code, 3);
  CommandResult pinned = ctl({"evict", "pinned"});
  EXPECT_EQ(pinned.exit_code, 7);
  EXPECT_THAT(pinned.err, HasSubstr("pinned: pinned"));
  CommandResult open = ctl({"evict", "open", "free"});
  EXPECT_EQ(open.exit_code, 7);
  EXPECT_THAT(open.err, HasSubstr("open: in use"));
  EXPECT_FALSE(cache_.has("free"));  // the others go all the same
  EXPECT_TRUE(cache_.has("open"));
  EXPECT_TRUE(cache_.has("pinned"));
  const json errors = json::parse(ctl({"--json", "evict", "pinned", "nothing"}).out)["errors"];
  ASSERT_EQ(errors.size(), 2u);
  EXPECT_EQ(errors[0]["exit_code"], 7);  // as those of the other verbs
  EXPECT_EQ(errors[1]["exit_code"], 3);
}

TEST_P(Imgcachectl, EvictWaitsForADaemonThatIsAboutToLetGo) {
  make_cache();
  cached("a", 10);
  cache_.file("incomplete/b", 10, 61s);
  auto cached_file = std::make_unique<InUse>(cache_.path("a"));
  auto fill = std::make_unique<InUse>(cache_.path("incomplete/b"));
  std::jthread daemon([&] {
    std::this_thread::sleep_for(300ms);
    cached_file.reset();
    fill.reset();
  });
  EXPECT_THAT(ids(ctl_json({"evict", "a", "b"})["images"]), ElementsAre("a", "b"));
  EXPECT_FALSE(cache_.has("a"));
}

TEST_P(Imgcachectl, EvictAllTakesAllThatMayGo) {
  make_cache();
  cached("a", 10);
  cached("b", 10);
  cache_.file("incomplete/c", 10, 61s);  // a left-over
  EXPECT_EQ(ctl({"evict", "--all"}).exit_code, 0);
  EXPECT_EQ(ctl_json({"list"}), json::array());
  EXPECT_FALSE(cache_.has("incomplete/c"));
  cached("pinned", 10, 1795149842, true);
  cached("d", 10);
  EXPECT_EQ(ctl({"evict", "--all"}).exit_code, 7);
  EXPECT_FALSE(cache_.has("d"));
  EXPECT_EQ(ctl({"evict"}).exit_code, 2);
  EXPECT_EQ(ctl({"evict", "--all", "d"}).exit_code, 2);
}

TEST_P(Imgcachectl, PruneTakesTheLeastRecentlyUsed) {
  make_cache();
  cached("old", 1024, 1795000000);
  cached("new", 1024, 1795100000);
  cached("oldest", 1024, 1794000000);
  json dry = ctl_json({"prune", "--max-size", "1K", "--dry-run"});
  EXPECT_THAT(ids(dry["images"]), ElementsAre("oldest", "old"));
  EXPECT_EQ(dry["dry_run"], true);
  EXPECT_EQ(ctl_json({"list"}).size(), 3u);  // changed nothing
  json result = ctl_json({"prune", "--max-size", "1K"});
  EXPECT_THAT(ids(result["images"]), ElementsAre("oldest", "old"));
  EXPECT_EQ(result["bytes"], 2048);
  EXPECT_THAT(ids(ctl_json({"list"})), ElementsAre("new"));
}

TEST_P(Imgcachectl, PruneKnowsItsLimitOrAsksForIt) {
  make_cache();
  cached("a", 10);
  CommandResult served = ctl({"prune"});  // by a daemon that shows no mount: this test
  EXPECT_EQ(served.exit_code, 1);
  EXPECT_THAT(served.err, HasSubstr("--max-size"));
  end_daemon();
  EXPECT_EQ(ctl_json({"prune"})["max_size"], 10ULL << 30);
}

TEST_P(Imgcachectl, CleanTakesInvalidAndStalledImages) {
  make_cache();
  cached("a", 10);
  cache_.file("invalid/bad", 10);
  cache_.file("incomplete/day-old", 10, 90000s);
  cache_.file("incomplete/hour-old", 10, 3700s);
  EXPECT_THAT(ids(ctl_json({"clean", "--dry-run"})["images"]), ElementsAre("bad", "day-old"));
  EXPECT_TRUE(cache_.has("invalid/bad"));
  EXPECT_THAT(ids(ctl_json({"clean"})["images"]), ElementsAre("bad", "day-old"));
  EXPECT_FALSE(cache_.has("invalid/bad"));
  EXPECT_THAT(ids(ctl_json({"clean", "--stall-time", "1h"})["images"]), ElementsAre("hour-old"));
  EXPECT_TRUE(cache_.has("a"));
}

TEST_P(Imgcachectl, WorksOnADirectoryThatNoDaemonHasSeen) {
  cache_.file("a", 10);
  EXPECT_THAT(ids(ctl_json({"list"})), ElementsAre("a"));
  EXPECT_EQ(ctl_json({"status"})["driver"], nullptr);
  EXPECT_EQ(ctl({"evict", "a"}).exit_code, 0);
  EXPECT_FALSE(cache_.has("a"));
  EXPECT_FALSE(cache_.has("cache.db"));  // and makes nothing there
  EXPECT_FALSE(cache_.has("incomplete"));
}

TEST_P(Imgcachectl, FailsOnWhatIsNoCache) {
  CommandResult missing = ctl({"list"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr(cache_.dir()));
  CommandResult no_mount = test::run({test::built("imgcachectl"), "-m", "/", "list"});
  EXPECT_EQ(no_mount.exit_code, 1);
  EXPECT_THAT(no_mount.err, HasSubstr("no imgcachefs is mounted there"));
  cache_.file("cache.db", 5000);
  EXPECT_EQ(ctl({"list"}).exit_code, 1);
}

TEST_P(Imgcachectl, RefusesWrongUsage) {
  make_cache();
  const std::vector<std::vector<std::string>> wrong = {{},
                                                       {"frobnicate"},
                                                       {"list", "--what"},
                                                       {"list", "a"},
                                                       {"info"},
                                                       {"info", "a", "b"},
                                                       {"info", "a/b"},
                                                       {"prune", "--max-size", "1X"},
                                                       {"evict"},
                                                       {"queue"},
                                                       {"prefetch"},
                                                       {"queue", "a/b"},
                                                       {"pin", "--all"},
                                                       {"prune", "--max-size"},
                                                       {"status", "a"},
                                                       {"map"},
                                                       {"map", "a", "b"},
                                                       {"top", "a"},
                                                       {"top", "-n", "0"},
                                                       {"top", "-n", "some"},
                                                       {"top", "-n", "2", "--once"},
                                                       {"top", "--interval", "0"},
                                                       {"top", "--interval", "2d"},
                                                       {"clean", "--stall-time", "soon"},
                                                       {"-m", "/mnt", "list"}};
  for (const auto& args : wrong) {
    CommandResult result = ctl(args);
    EXPECT_EQ(result.exit_code, 2) << testing::PrintToString(args) << result.describe();
    EXPECT_THAT(result.err, StartsWith("imgcachectl: "));
    EXPECT_THAT(result.out, IsEmpty());
  }
}

TEST_P(Imgcachectl, SaysWhenItsOutputCouldNotBeWritten) {
  make_cache();
  CommandResult result = test::run({"sh", "-c", "exec \"$0\" -c \"$1\" list >/dev/full",
                                    test::built("imgcachectl"), cache_.dir()});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("cannot write"));
}

INSTANTIATE_TEST_SUITE_P(Drivers, Imgcachectl, testing::Values("sqlite", "xattr"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace imgcachefs
