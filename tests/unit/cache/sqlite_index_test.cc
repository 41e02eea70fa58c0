// What is SQLite's own in the index: the format on disk, and who else works on it. (What every
// index does: tests/contract/cache_index_contract_test.cc.)
#include "cache/sqlite_index.h"

#include <sqlite3.h>

#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "support/process.h"
#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;
using test::ScratchCache;
using testing::ElementsAre;

ImageId id(std::string_view text) {
  return ImageId::parse(text).value();
}

IndexRecord record(std::string_view name) {
  IndexRecord r{
      id(name), 1048576, 3,    from_unix(1795149842.75), from_unix(1795150000.5), std::nullopt,
      false,    {},      false};
  return r;
}

// Another program's connection, as Glance's tools have it.
class Sqlite {
 public:
  explicit Sqlite(const std::string& path) { EXPECT_EQ(sqlite3_open(path.c_str(), &db_), 0); }
  ~Sqlite() { sqlite3_close(db_); }

  // Rows as "a|b|c", the sqlite3 shell's way.
  std::vector<std::string> query(const std::string& sql) {
    std::vector<std::string> rows;
    char* error = nullptr;
    sqlite3_exec(
        db_, sql.c_str(),
        [](void* out, int n, char** values, char**) {
          std::string row;
          for (int i = 0; i < n; ++i)
            row += (i == 0 ? "" : "|") + std::string(values[i] != nullptr ? values[i] : "");
          static_cast<std::vector<std::string>*>(out)->push_back(row);
          return 0;
        },
        &rows, &error);
    EXPECT_EQ(error, nullptr) << sql << ": " << error;
    sqlite3_free(error);
    return rows;
  }

 private:
  sqlite3* db_ = nullptr;
};

class SqliteIndexTest : public testing::Test {
 protected:
  std::unique_ptr<CacheIndex> open(bool create = true) {
    auto index = open_sqlite_index(layout_, create);
    EXPECT_TRUE(index) << index.error().message;
    return index ? std::move(*index) : nullptr;
  }
  std::vector<std::string> query(const std::string& sql) {
    return Sqlite(layout_.index_path()).query(sql);
  }

  ScratchCache cache_;
  CacheLayout layout_ = CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value();
};

// A change of these lines is a change of the format on disk, which Glance and older versions read.
TEST_F(SqliteIndexTest, TheSchemaIsThis) {
  auto index = open();
  EXPECT_THAT(
      query("SELECT sql FROM sqlite_master WHERE type != 'index' ORDER BY name"),
      ElementsAre(
          "CREATE TABLE cached_images (image_id TEXT PRIMARY KEY, last_accessed REAL DEFAULT 0.0, "
          "last_modified REAL DEFAULT 0.0, size INTEGER DEFAULT 0, hits INTEGER DEFAULT 0, "
          "checksum TEXT)",
          "CREATE TABLE imgcachefs_images (image_id TEXT PRIMARY KEY, checksum TEXT, "
          "verified INTEGER DEFAULT 0, etag TEXT, last_modified TEXT, pinned INTEGER DEFAULT 0)",
          "CREATE TABLE imgcachefs_meta (key TEXT PRIMARY KEY, value TEXT)"));
  EXPECT_THAT(query("PRAGMA journal_mode"), ElementsAre("delete"));
  EXPECT_THAT(query("PRAGMA user_version"), ElementsAre("0"));
  EXPECT_THAT(query("PRAGMA encoding"), ElementsAre("UTF-8"));
}

TEST_F(SqliteIndexTest, TheRowsAreThese) {
  auto index = open();
  IndexRecord r = record("a");
  ASSERT_TRUE(index->put(r));
  r = record("b");
  r.checksum = Digest::parse_tagged("md5:0123456789abcdef0123456789abcdef").value();
  r.verified = true;
  r.validator = {"\"e\"", "Fri, 20 Nov 2026 07:27:43 GMT"};
  ASSERT_TRUE(index->put(r));
  ASSERT_TRUE(index->set_pinned(id("b"), true));
  ASSERT_TRUE(index->set_source("http://host/"));
  EXPECT_THAT(query("SELECT *, typeof(last_accessed), typeof(size), checksum IS NULL FROM "
                    "cached_images ORDER BY image_id"),
              ElementsAre("a|1795150000.5|1795149842.75|1048576|3||real|integer|1",
                          "b|1795150000.5|1795149842.75|1048576|3||real|integer|1"));
  EXPECT_THAT(query("SELECT * FROM imgcachefs_images ORDER BY image_id"),
              ElementsAre("a||0|||0",
                          "b|md5:0123456789abcdef0123456789abcdef|1|\"e\"|Fri, 20 Nov 2026 "
                          "07:27:43 GMT|1"));
  EXPECT_THAT(query("SELECT * FROM imgcachefs_meta"), ElementsAre("source|http://host/"));
}

TEST_F(SqliteIndexTest, TakesOverADatabaseThatGlanceMade) {
  {
    Sqlite glance(layout_.index_path());
    glance.query(
        "CREATE TABLE IF NOT EXISTS cached_images (image_id TEXT PRIMARY KEY, last_accessed REAL "
        "DEFAULT 0.0, last_modified REAL DEFAULT 0.0, size INTEGER DEFAULT 0, hits INTEGER DEFAULT "
        "0, checksum TEXT);"
        "INSERT INTO cached_images (image_id, last_accessed, last_modified, hits, size) "
        "VALUES ('89160bec-0000-4000-8000-000000000001', 1795149842.78773, 1795149842.78773, 2, "
        "1048576)");
  }
  auto index = open();
  auto all = index->all().value();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].id.str(), "89160bec-0000-4000-8000-000000000001");
  EXPECT_EQ(all[0].hits, 2u);
  EXPECT_EQ(all[0].size, 1048576u);
  EXPECT_EQ(rfc3339(all[0].last_accessed), "2026-11-20T04:44:02Z");
  EXPECT_FALSE(all[0].verified);
  EXPECT_EQ(index->source().value(), std::nullopt);
  ASSERT_TRUE(index->set_pinned(all[0].id, true));
  EXPECT_TRUE(index->find(all[0].id).value()->pinned);
}

TEST_F(SqliteIndexTest, GlanceMayTakeRowsAwayAndPutThemThere) {
  auto index = open();
  IndexRecord r = record("a");
  r.pinned = true;
  ASSERT_TRUE(index->put(r));
  query("DELETE FROM cached_images");
  EXPECT_EQ(index->find(id("a")).value(), std::nullopt);
  EXPECT_TRUE(index->all().value().empty());
  EXPECT_FALSE(index->set_pinned(id("a"), true));
  ASSERT_TRUE(index->put(record("a")));
  EXPECT_FALSE(index->find(id("a")).value()->pinned);  // the pin went with the image
  query("INSERT INTO cached_images (image_id, size) VALUES ('b', 5), ('../no id', 7)");
  EXPECT_EQ(index->find(id("b")).value()->size, 5u);
  EXPECT_EQ(index->all().value().size(), 2u);
}

TEST_F(SqliteIndexTest, OddValuesOfOthersDoNoHarm) {
  auto index = open();
  query(
      "INSERT INTO cached_images VALUES ('a', NULL, 'yesterday', -5, -1, NULL), "
      "('b', 1e300, -1e300, 9223372036854775807, NULL, 'x')");
  query("INSERT INTO imgcachefs_images VALUES ('a', 'no:digest', 1, NULL, NULL, NULL)");
  auto all = index->all().value();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].size, 0u);
  EXPECT_EQ(all[0].hits, 0u);
  EXPECT_EQ(all[0].last_accessed, from_unix(0));
  EXPECT_FALSE(all[0].verified);
  EXPECT_GT(all[1].last_accessed, from_unix(0));
  EXPECT_LT(all[1].last_modified, from_unix(0));
  ASSERT_TRUE(index->add_accesses({{id("a"), 1, from_unix(10)}}));
  EXPECT_EQ(index->find(id("a")).value()->last_accessed, from_unix(10));
}

TEST_F(SqliteIndexTest, ATransactionOfAnotherProcessIsWaitedFor) {
  auto index = open();
  ASSERT_TRUE(index->put(record("a")));
  Sqlite glance(layout_.index_path());
  glance.query("BEGIN EXCLUSIVE");
  std::thread ending([&] {
    std::this_thread::sleep_for(500ms);
    glance.query("COMMIT");
  });
  auto found = index->find(id("a"));
  EXPECT_TRUE(found && *found);
  EXPECT_TRUE(index->put(record("b")));
  ending.join();
}

TEST_F(SqliteIndexTest, LeavesNoSideFiles) {
  {
    Sqlite other(layout_.index_path());
    other.query("PRAGMA journal_mode = WAL; CREATE TABLE x (y)");
  }
  auto index = open();
  ASSERT_TRUE(index->put(record("a")));
  EXPECT_THAT(query("PRAGMA journal_mode"), ElementsAre("delete"));
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(cache_.dir()))
    if (entry.is_regular_file()) files.push_back(entry.path().filename());
  EXPECT_THAT(files, ElementsAre("cache.db"));
}

TEST_F(SqliteIndexTest, ACorruptDatabaseIsSetAsideAndBegunAnew) {
  cache_.file("cache.db", 5000);
  cache_.file("cache.db-journal", 100);
  cache_.file("image", 70);
  auto index = open();
  ASSERT_NE(index, nullptr);
  EXPECT_TRUE(index->all().value().empty());
  ASSERT_TRUE(index->repair(layout_));
  EXPECT_EQ(index->find(id("image")).value()->size, 70u);
  EXPECT_EQ(std::filesystem::file_size(cache_.path("invalid/cache.db.corrupt")), 5000u);
  EXPECT_FALSE(cache_.has("cache.db-journal"));
  EXPECT_TRUE(layout_.list(Place::kInvalid).value().empty());  // it is no invalid image
}

TEST_F(SqliteIndexTest, ADamagedPageIsFoundWhenTheDaemonStarts) {
  {
    auto index = open();
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(index->put(record("image-" + std::to_string(i))));
  }
  {
    std::fstream db(cache_.path("cache.db"), std::ios::in | std::ios::out | std::ios::binary);
    db.seekp(4096 * 4);
    db << std::string(4096 * 8, '\x7f');
  }
  auto index = open();
  ASSERT_NE(index, nullptr);
  EXPECT_TRUE(index->all().value().empty());
  EXPECT_TRUE(cache_.has("invalid/cache.db.corrupt"));
}

TEST_F(SqliteIndexTest, AToolNeitherMakesNorReplacesADatabase) {
  auto none = open_sqlite_index(layout_, false);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::kNotFound);
  EXPECT_FALSE(cache_.has("cache.db"));
  cache_.file("cache.db", 5000);
  auto corrupt = open_sqlite_index(layout_, false);
  ASSERT_FALSE(corrupt);
  EXPECT_EQ(corrupt.error().kind, ErrorKind::kCorrupt);
  EXPECT_TRUE(cache_.has("cache.db"));
}

TEST_F(SqliteIndexTest, ASymlinkIsNoDatabaseAndIsSetAside) {
  std::ofstream(cache_.root() / "elsewhere.db");
  std::filesystem::create_symlink(cache_.root() / "elsewhere.db", cache_.path("cache.db"));
  EXPECT_EQ(open_sqlite_index(layout_, false).error().kind, ErrorKind::kInvalid);
  auto index = open();
  ASSERT_TRUE(index->put(record("a")));
  EXPECT_TRUE(std::filesystem::is_regular_file(cache_.path("cache.db")));
  EXPECT_TRUE(std::filesystem::is_symlink(cache_.path("invalid/cache.db.corrupt")));
  EXPECT_EQ(std::filesystem::file_size(cache_.root() / "elsewhere.db"), 0u);
}

TEST_F(SqliteIndexTest, ADirectoryIsNoDatabaseAndWhatWasSetAsideBeforeStays) {
  cache_.file("invalid/cache.db.corrupt", 3);
  std::filesystem::create_directory(cache_.path("cache.db"));
  auto index = open();
  ASSERT_TRUE(index->put(record("a")));
  EXPECT_TRUE(std::filesystem::is_directory(cache_.path("invalid/cache.db.corrupt.1")));
  EXPECT_EQ(std::filesystem::file_size(cache_.path("invalid/cache.db.corrupt")), 3u);
}

// Neither written nor moved: as root sees it, only an immutable file is that.
TEST_F(SqliteIndexTest, ADatabaseThatCanBeNeitherUsedNorMovedGivesWayToOneInMemory) {
  {
    auto index = open();
    ASSERT_TRUE(index->put(record("a")));
    ASSERT_TRUE(index->set_pinned(id("a"), true));
    ASSERT_TRUE(index->set_source("http://host/"));
  }
  const std::string db = layout_.index_path();
  const auto chattr = test::run({"chattr", "+i", db});
  ASSERT_TRUE(chattr.ok()) << "root and a file system with immutable files are needed: "
                           << chattr.describe();
  {
    auto index = open();
    ASSERT_NE(index, nullptr);
    EXPECT_TRUE(index->find(id("a")).value()->pinned);
    EXPECT_EQ(index->find(id("a")).value()->hits, 3u);
    EXPECT_EQ(index->source().value(), "http://host/");
    EXPECT_TRUE(index->add_accesses({{id("a"), 4, from_unix(1795160000)}}));
    EXPECT_EQ(index->find(id("a")).value()->hits, 7u);
  }
  EXPECT_TRUE(test::run({"chattr", "-i", db}).ok());
  EXPECT_EQ(open()->find(id("a")).value()->hits, 3u);
}

TEST_F(SqliteIndexTest, AHundredThousandImagesAreRepaired) {
  auto index = open();
  std::vector<StoredFile> files;
  struct stat st {};
  st.st_size = 7;
  for (int i = 0; i < 100'000; ++i) files.push_back({id("image-" + std::to_string(i)), st});
  const auto each = [&](const auto& see) -> Status {
    for (const StoredFile& file : files)
      if (auto seen = see(file); !seen) return seen;
    return {};
  };
  ASSERT_TRUE(index->repair(each));
  EXPECT_EQ(index->all().value().size(), 100'000u);
  files.erase(files.begin() + 10, files.end());
  ASSERT_TRUE(index->repair(each));
  EXPECT_EQ(index->all().value().size(), 10u);
}

}  // namespace
}  // namespace imgcachefs
