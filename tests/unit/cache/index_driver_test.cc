// Which driver a directory gets, and what becomes of what the other one knew.
#include "cache/index_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "cache/sqlite_index.h"
#include "cache/xattr_index.h"
#include "support/log_capture.h"
#include "support/process.h"
#include "support/scratch_cache.h"

namespace imgcachefs {
namespace {

using testing::AllOf;
using testing::HasSubstr;

ImageId id(std::string_view text) {
  return ImageId::parse(text).value();
}

size_t warnings(const test::LogCapture& log) {
  const std::string all = log.text();
  size_t n = 0;
  for (size_t at = 0; (at = all.find("[warning]", at)) != std::string::npos; ++at) ++n;
  return n;
}

class IndexDriverTest : public testing::Test {
 protected:
  std::unique_ptr<CacheIndex> open(const std::string& driver) {
    auto index = open_index(layout_, driver);
    EXPECT_TRUE(index) << index.error().message;
    return index ? std::move(*index) : nullptr;
  }
  // An image with everything that can be known of one.
  void cache_image(CacheIndex& index, const std::string& name) {
    cache_.file(name, 1000);
    IndexRecord r{id(name), 1000, 5,    from_unix(1795149842.5), from_unix(1795150000.25), {},
                  false,    {},   false};
    r.checksum = Digest::parse_tagged("md5:0123456789abcdef0123456789abcdef").value();
    r.verified = true;
    r.validator = {"\"abc-1\"", "Fri, 20 Nov 2026 07:27:43 GMT"};
    ASSERT_TRUE(index.put(r));
    ASSERT_TRUE(index.set_pinned(id(name), true));
  }
  void expect_image(CacheIndex& index, const std::string& name, uint64_t hits) {
    auto found = index.find(id(name));
    ASSERT_TRUE(found && *found) << name;
    EXPECT_EQ((*found)->size, 1000u);
    EXPECT_EQ((*found)->hits, hits);
    EXPECT_EQ(to_unix((*found)->last_modified), 1795149842.5);
    EXPECT_EQ((*found)->last_accessed, from_unix(1795150000.25))
        << fmt::format("{:.9f}", to_unix((*found)->last_accessed));
    EXPECT_TRUE((*found)->pinned);
    EXPECT_TRUE((*found)->verified);
    EXPECT_EQ((*found)->validator, (Validator{"\"abc-1\"", "Fri, 20 Nov 2026 07:27:43 GMT"}));
  }

  test::ScratchCache cache_;
  CacheLayout layout_ = CacheLayout::open(cache_.dir(), CacheLayout::Access::kDaemon).value();
};

TEST_F(IndexDriverTest, GivesTheOneAskedFor) {
  test::LogCapture log;
  EXPECT_EQ(open("xattr")->driver(), "xattr");
  EXPECT_FALSE(cache_.has("cache.db"));
  EXPECT_EQ(open("sqlite")->driver(), "sqlite");
  EXPECT_TRUE(cache_.has("cache.db"));
  EXPECT_EQ(log.text(), "");
}

TEST_F(IndexDriverTest, AnUnknownOneIsSqliteWithOneWarning) {
  for (const char* name : {"paper", "centralized_db", ""}) {
    test::LogCapture log;
    EXPECT_EQ(open(name)->driver(), "sqlite");
    EXPECT_EQ(warnings(log), 1u);
    EXPECT_THAT(log.text(), AllOf(HasSubstr(std::string("driver=") + name),
                                  HasSubstr("using sqlite"), HasSubstr("xattr")));
  }
}

TEST_F(IndexDriverTest, WithoutAttributesOfTheFileSystemXattrIsSqliteWithOneWarning) {
  // tmpfs takes no user.* attributes on older kernels; ramfs on none.
  const std::string dir = (cache_.root() / "ramfs").string();
  std::filesystem::create_directory(dir);
  const auto mounted = test::run({"mount", "-t", "ramfs", "none", dir});
  ASSERT_TRUE(mounted.ok()) << "root is needed: " << mounted.describe();
  {
    auto layout = CacheLayout::open(dir + "/cache", CacheLayout::Access::kDaemon).value();
    test::LogCapture log;
    auto index = open_index(layout, "xattr");
    ASSERT_TRUE(index) << index.error().message;
    EXPECT_EQ((*index)->driver(), "sqlite");
    EXPECT_EQ(warnings(log), 1u);
    EXPECT_THAT(log.text(), AllOf(HasSubstr("driver=xattr"), HasSubstr("extended attributes")));
    // Nothing is left behind that Glance would take for an image.
    EXPECT_TRUE(layout.names(Place::kCached)->empty());
  }
  EXPECT_TRUE(test::run({"umount", "-l", dir}).ok());
}

TEST_F(IndexDriverTest, NothingIsLostByChangingBackAndForth) {
  {
    auto sqlite = open("sqlite");
    ASSERT_TRUE(sqlite->set_source("http://host/"));
    cache_image(*sqlite, "a");
  }
  for (uint64_t hits = 5; hits < 8;) {
    {
      auto xattr = open("xattr");
      EXPECT_FALSE(cache_.has("cache.db"));
      EXPECT_EQ(xattr->source().value(), "http://host/");
      expect_image(*xattr, "a", hits);
      ASSERT_TRUE(xattr->add_accesses({{id("a"), 1, from_unix(1)}}));
      ++hits;
    }
    {
      auto sqlite = open("sqlite");
      EXPECT_EQ(sqlite->source().value(), "http://host/");
      expect_image(*sqlite, "a", hits);
      ASSERT_TRUE(sqlite->add_accesses({{id("a"), 1, from_unix(1)}}));
      ++hits;
    }
  }
  EXPECT_TRUE(cache_.has("invalid/cache.db.replaced"));
  EXPECT_TRUE(cache_.has("invalid/cache.db.replaced.1"));
}

TEST_F(IndexDriverTest, WhatWasTakenBackStaysTakenBack) {
  {
    auto xattr = open("xattr");
    ASSERT_TRUE(xattr->set_source("http://host/"));
    cache_image(*xattr, "a");
  }
  ASSERT_TRUE(open("sqlite")->set_pinned(id("a"), false));
  EXPECT_FALSE(open("xattr")->find(id("a")).value()->pinned);
}

TEST_F(IndexDriverTest, OfADatabaseThatIsGlancesTheHitsAreTakenOver) {
  {
    auto xattr = open("xattr");
    ASSERT_TRUE(xattr->set_source("http://host/"));
    cache_image(*xattr, "a");
  }
  const std::string glance =
      "CREATE TABLE cached_images (image_id TEXT PRIMARY KEY, last_accessed REAL DEFAULT 0.0, "
      "last_modified REAL DEFAULT 0.0, size INTEGER DEFAULT 0, hits INTEGER DEFAULT 0, checksum "
      "TEXT); "
      "INSERT INTO cached_images VALUES ('a', 1795150000.25, 1795149842.5, 1000, 9, NULL)";
  ASSERT_TRUE(
      test::run({"python3", "-c",
                 "import sqlite3,sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])",
                 layout_.index_path(), glance})
          .ok());
  auto sqlite = open("sqlite");
  expect_image(*sqlite, "a", 9);
  EXPECT_EQ(sqlite->source().value(), "http://host/");
  sqlite.reset();
  expect_image(*open("xattr"), "a", 9);
}

TEST_F(IndexDriverTest, ACorruptDatabaseDoesNotStopTheChangeToAttributes) {
  cache_.file("cache.db", 5000);
  cache_.file("a", 10);
  test::LogCapture log;
  auto xattr = open("xattr");
  EXPECT_EQ(xattr->driver(), "xattr");
  EXPECT_FALSE(cache_.has("cache.db"));
  EXPECT_TRUE(cache_.has("invalid/cache.db.replaced"));
  EXPECT_EQ(warnings(log), 1u);
}

TEST_F(IndexDriverTest, ToolsTakeTheOneThatIsThere) {
  EXPECT_EQ(open_existing_index(layout_).error().kind, ErrorKind::kNotFound);
  cache_.file("a", 10);
  EXPECT_EQ(open_existing_index(layout_).error().kind, ErrorKind::kNotFound);
  {
    auto fd = posix::open_at(layout_.dir(Place::kCached), "a", O_RDONLY).value();
    ASSERT_TRUE(posix::set_xattr(fd.get(), "user.hits", "3"));
  }
  EXPECT_EQ(open_existing_index(layout_).value()->driver(), "xattr");  // as Glance leaves it
  open("sqlite");
  EXPECT_EQ(open_existing_index(layout_).value()->driver(), "sqlite");
  ASSERT_TRUE(open("xattr")->set_source("http://host/"));
  std::filesystem::remove(cache_.path("a"));
  EXPECT_EQ(open_existing_index(layout_).value()->driver(), "xattr");
  EXPECT_FALSE(cache_.has("cache.db"));
}

}  // namespace
}  // namespace imgcachefs
