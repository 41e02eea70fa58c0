#include "cache/sqlite_database.h"

#include <fmt/format.h>

#include "base/log.h"

namespace imgcachefs {
namespace {

constexpr int kBusyMs = 10'000;  // longer than any transaction of ours or Glance's
constexpr const char* kFile = "cache.db";
constexpr int kMostSetAside = 100;

// Glance's, column for column.
constexpr const char* kGlanceTable =
    "CREATE TABLE IF NOT EXISTS cached_images (image_id TEXT PRIMARY KEY, "
    "last_accessed REAL DEFAULT 0.0, last_modified REAL DEFAULT 0.0, size INTEGER DEFAULT 0, "
    "hits INTEGER DEFAULT 0, checksum TEXT)";
constexpr const char* kImagesTable =
    "CREATE TABLE IF NOT EXISTS imgcachefs_images (image_id TEXT PRIMARY KEY, checksum TEXT, "
    "verified INTEGER DEFAULT 0, etag TEXT, last_modified TEXT, pinned INTEGER DEFAULT 0)";
constexpr const char* kMetaTable =
    "CREATE TABLE IF NOT EXISTS imgcachefs_meta (key TEXT PRIMARY KEY, value TEXT)";

Result<SqliteConnection> connect(const std::string& path, bool create) {
  auto db = SqliteConnection::open(path, create, kBusyMs);
  if (!db) return db;
  // No WAL whatever somebody set: its side files would be images to Glance. The first statement is
  // also where a file that is no database shows.
  for (const char* sql : {"PRAGMA journal_mode = DELETE", "PRAGMA synchronous = NORMAL",
                          "PRAGMA temp_store = MEMORY"})
    if (auto done = db->run(sql); !done) return fail(done.error());
  return db;
}

Status check(SqliteConnection& db) {
  auto verdict = db.prepare("PRAGMA quick_check(1)");
  if (!verdict) return fail(verdict.error());
  if (auto started = verdict->start(); !started) return started;
  const std::string words = verdict->has_row() ? verdict->text(0) : "ok";
  // Two lines when a page is bad; the last one says which.
  if (words != "ok")
    return fail(ErrorKind::kCorrupt, "cache.db: " + words.substr(words.rfind('\n') + 1));
  return {};
}

// Nothing is written when the tables are there.
Status make_tables(SqliteConnection& db) {
  for (const char* sql : {kGlanceTable, kImagesTable, kMetaTable})
    if (auto done = db.run(sql); !done) return done;
  return {};
}

Result<SqliteConnection> open_database(const CacheLayout& layout, bool create) {
  auto db = connect(layout.index_path(), create);
  if (!db) return db;
  if (create)
    if (auto sound = check(*db); !sound) return fail(sound.error());
  if (auto made = make_tables(*db); !made) return fail(made.error());
  if (create && db->is_read_only())
    return fail(ErrorKind::kIo, std::string(kFile) + ": it cannot be written");
  return db;
}

}  // namespace

// The side files go too, for SQLite would play the journal of the old database into the new one.
// They go last: beside no database at all SQLite throws a journal away.
Result<std::string> set_database_aside(const CacheLayout& layout, const std::string& suffix) {
  const int cached = layout.dir(Place::kCached), invalid = layout.dir(Place::kInvalid);
  std::string name = std::string(kFile) + "." + suffix;
  // What was set aside before stays: the next one that is free.
  for (int n = 1; posix::stat_at(invalid, name) && n < kMostSetAside; ++n)
    name = fmt::format("{}.{}.{}", kFile, suffix, n);
  if (auto moved = posix::rename_at(cached, kFile, invalid, name); !moved)
    return fail(moved.error());
  for (const char* side : {"cache.db-journal", "cache.db-wal", "cache.db-shm"})
    if (auto gone = posix::unlink_at(cached, side);
        !gone && gone.error().kind != ErrorKind::kNotFound)
      return fail(gone.error());
  return name;
}

Result<SqliteConnection> open_sqlite_database(const CacheLayout& layout, bool create) {
  const auto open = [&]() -> Result<SqliteConnection> {
    auto st = posix::stat_at(layout.dir(Place::kCached), kFile);
    if (!st && (st.error().kind != ErrorKind::kNotFound || !create)) return fail(st.error());
    if (st && !S_ISREG(st->st_mode))
      return fail(ErrorKind::kInvalid, std::string(kFile) + ": not a regular file");
    return open_database(layout, create);
  };
  auto db = open();
  const auto another_would_do = [&] {
    const ErrorKind kind = db.error().kind;
    return kind == ErrorKind::kCorrupt || kind == ErrorKind::kInvalid || kind == ErrorKind::kIo;
  };
  if (!db && create && another_would_do()) {
    auto aside = set_database_aside(layout, "corrupt");
    // A database that cannot even be moved: what is wrong with it is the better reason.
    if (!aside) return fail(db.error().in(layout.path()));
    spdlog::warn("{}: {}; set aside as invalid/{} and begun anew from the directory", layout.path(),
                 db.error().message, *aside);
    db = open();
  }
  if (!db) return fail(db.error().in(layout.path()));
  return db;
}

Result<SqliteConnection> open_sqlite_in_memory() {
  auto db = SqliteConnection::open_in_memory();
  if (!db) return db;
  if (auto made = make_tables(*db); !made) return fail(made.error());
  return db;
}

}  // namespace imgcachefs
