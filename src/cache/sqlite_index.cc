#include "cache/sqlite_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <utility>

#include "base/log.h"
#include "cache/glance_attributes.h"
#include "cache/sqlite_database.h"
#include "cache/sqlite_repair.h"

namespace imgcachefs {
namespace {

constexpr std::string_view kSelect =
    "SELECT c.image_id, c.size, c.hits, c.last_modified, c.last_accessed, "
    "i.checksum, i.verified, i.etag, i.last_modified, i.pinned, c.rowid "
    "FROM cached_images c LEFT JOIN imgcachefs_images i ON i.image_id = c.image_id ";

constexpr int kRowId = 10;  // its column

uint64_t not_negative(int64_t value) {
  return static_cast<uint64_t>(std::max<int64_t>(value, 0));
}

int64_t to_integer(uint64_t value) {
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(std::min(value, kMost));
}

// nullopt for a row that nobody of ours wrote and that can be no image.
std::optional<IndexRecord> record_of(const SqliteStatement& row) {
  auto id = ImageId::parse(row.text(0));
  if (!id) return std::nullopt;
  IndexRecord record{std::move(*id), 0, 0, {}, {}, {}, false, {}, false};
  record.size = not_negative(row.integer(1));
  record.hits = not_negative(row.integer(2));
  record.last_modified = from_unix(row.real(3));
  record.last_accessed = from_unix(row.real(4));
  if (auto checksum = Digest::parse_tagged(row.text(5))) record.checksum = std::move(*checksum);
  record.verified = row.integer(6) != 0 && record.checksum.has_value();
  record.validator = {row.text(7), row.text(8)};
  record.pinned = row.integer(9) != 0;
  return record;
}

class SqliteIndex final : public CacheIndex {
 public:
  SqliteIndex(SqliteConnection connection, UniqueFd dir)
      : db_(std::move(connection)), dir_(std::move(dir)) {}

  Result<std::optional<IndexRecord>> find(const ImageId& id) override;
  Status each(const std::function<Status(IndexRecord)>& see) override;
  Status stage(int fd, const IndexRecord& record) override;
  Status put(const IndexRecord& record) override;
  Status take_over(const std::vector<IndexRecord>& records) override;
  Status remove(const std::vector<ImageId>& ids) override;
  Status add_accesses(const std::vector<AccessCount>& counts) override;
  Status set_pinned(const ImageId& id, bool pinned) override;
  Status repair(const CachedFiles& cached) override;
  Result<std::optional<std::string>> source() override;
  Status set_source(const std::string& source) override;
  std::string driver() const override { return "sqlite"; }

 private:
  // Runs `body` as one write transaction under the mutex.
  template <typename Body>
  Status write(Body body) {
    std::lock_guard lock(mutex_);
    auto transaction = SqliteTransaction::begin(db_);
    if (!transaction) return fail(transaction.error());
    if (Status done = body(); !done) return done;
    return transaction->commit();
  }

  Status put_row(const IndexRecord& record);  // within a transaction

  std::mutex mutex_;  // protects db_, one call long
  SqliteConnection db_;
  std::optional<SqliteStatement> find_;  // prepared once: every look at one image needs it
  const UniqueFd dir_;                   // <cache_dir>, a descriptor of our own
};

Result<std::optional<IndexRecord>> SqliteIndex::find(const ImageId& id) {
  std::lock_guard lock(mutex_);
  if (!find_) {
    auto prepared = db_.prepare(fmt::format("{} WHERE c.image_id = ?", kSelect));
    if (!prepared) return fail(prepared.error());
    find_ = std::move(*prepared);
  }
  if (auto started = find_->start({id.str()}); !started) return fail(started.error());
  if (!find_->has_row()) return std::nullopt;
  auto record = record_of(*find_);
  find_->stop();
  return record;
}

// A page at a time: nobody waits for the end of a long table.
Status SqliteIndex::each(const std::function<Status(IndexRecord)>& see) {
  constexpr size_t kPage = 500;
  std::vector<IndexRecord> page;
  int64_t last = std::numeric_limits<int64_t>::min();
  for (size_t read = kPage; read == kPage;) {
    read = 0;
    page.clear();
    {
      std::lock_guard lock(mutex_);
      auto rows =
          db_.prepare(fmt::format("{} WHERE c.rowid > ? ORDER BY c.rowid LIMIT ?", kSelect));
      if (!rows) return fail(rows.error());
      auto status = rows->start({last, int64_t{kPage}});
      for (; status && rows->has_row(); status = rows->next(), ++read) {
        last = rows->integer(kRowId);
        if (auto record = record_of(*rows)) page.push_back(std::move(*record));
      }
      if (!status) return fail(status.error());
    }
    for (IndexRecord& record : page)
      if (auto seen = see(std::move(record)); !seen) return seen;
  }
  return {};
}

// For Glance's xattr driver, should the directory change to it: that one cannot read an image
// without. Where the file system has no attributes nobody will look for them.
Status SqliteIndex::stage(int fd, const IndexRecord& record) {
  (void)write_hits(fd, record.hits);
  return {};
}

Status SqliteIndex::put_row(const IndexRecord& record) {
  const std::string& id = record.id.str();
  // A row of ours whose image Glance has removed since must not lend its pin to the new one.
  if (auto done = db_.run("DELETE FROM imgcachefs_images WHERE image_id = ?1 AND NOT EXISTS "
                          "(SELECT 1 FROM cached_images WHERE image_id = ?1)",
                          {id});
      !done)
    return done;
  auto had_row = db_.prepare("SELECT 1 FROM cached_images WHERE image_id = ?");
  if (!had_row) return fail(had_row.error());
  if (auto started = had_row->start({id}); !started) return started;
  const int64_t pinned = !had_row->has_row() && record.pinned;
  // An upsert, for a plain INSERT would leave a stale row's size standing (as Glance's does).
  if (auto done =
          db_.run("INSERT INTO cached_images (image_id, last_accessed, last_modified, size, hits) "
                  "VALUES (?, ?, ?, ?, ?) ON CONFLICT (image_id) DO UPDATE SET "
                  "last_accessed = excluded.last_accessed, last_modified = excluded.last_modified, "
                  "size = excluded.size, hits = excluded.hits",
                  {id, to_unix(record.last_accessed), to_unix(record.last_modified),
                   to_integer(record.size), to_integer(record.hits)});
      !done)
    return done;
  const std::string checksum = record.checksum ? record.checksum->tagged() : "";
  auto text = [](const std::string& value) -> SqliteValue {
    if (value.empty()) return nullptr;
    return value;
  };
  return db_.run(
      "INSERT INTO imgcachefs_images (image_id, checksum, verified, etag, last_modified, pinned) "
      "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (image_id) DO UPDATE SET "
      "checksum = excluded.checksum, verified = excluded.verified, etag = excluded.etag, "
      "last_modified = excluded.last_modified",
      {id, text(checksum), int64_t{record.verified}, text(record.validator.etag),
       text(record.validator.last_modified), pinned});
}

Status SqliteIndex::put(const IndexRecord& record) {
  return write([&] { return put_row(record); });
}

Status SqliteIndex::take_over(const std::vector<IndexRecord>& records) {
  return write([&]() -> Status {
    for (const IndexRecord& record : records) {
      if (auto done = put_row(record); !done) return done;
      if (auto done = db_.run("UPDATE imgcachefs_images SET pinned = ?2 WHERE image_id = ?1",
                              {record.id.str(), int64_t{record.pinned}});
          !done)
        return done;
    }
    return {};
  });
}

Status SqliteIndex::remove(const std::vector<ImageId>& ids) {
  return write([&]() -> Status {
    for (const char* sql : {"DELETE FROM cached_images WHERE image_id = ?",
                            "DELETE FROM imgcachefs_images WHERE image_id = ?"}) {
      auto rows = db_.prepare(sql);
      if (!rows) return fail(rows.error());
      for (const ImageId& id : ids)
        if (auto done = rows->start({id.str()}); !done) return done;
    }
    return {};
  });
}

Status SqliteIndex::add_accesses(const std::vector<AccessCount>& counts) {
  if (counts.empty()) return {};
  return write([&]() -> Status {
    auto update = db_.prepare(
        "UPDATE cached_images SET hits = coalesce(hits, 0) + ?, "
        "last_accessed = max(coalesce(last_accessed, 0.0), ?) WHERE image_id = ?");
    if (!update) return fail(update.error());
    for (const AccessCount& count : counts)
      if (auto done =
              update->start({to_integer(count.hits), to_unix(count.last_accessed), count.id.str()});
          !done)
        return done;
    return {};
  });
}

Status SqliteIndex::set_pinned(const ImageId& id, bool pinned) {
  return write([&]() -> Status {
    if (auto done = db_.run("INSERT INTO imgcachefs_images (image_id, pinned) "
                            "SELECT image_id, ?2 FROM cached_images WHERE image_id = ?1 "
                            "ON CONFLICT (image_id) DO UPDATE SET pinned = excluded.pinned",
                            {id.str(), int64_t{pinned}});
        !done)
      return done;
    if (db_.changes() == 0)
      return fail(ErrorKind::kNotFound, fmt::format("{}: not cached", id.str()));
    return {};
  });
}

Status SqliteIndex::repair(const CachedFiles& cached) {
  return repair_rows(db_, mutex_, dir_.get(), cached);
}

Result<std::optional<std::string>> SqliteIndex::source() {
  std::lock_guard lock(mutex_);
  auto rows = db_.prepare("SELECT value FROM imgcachefs_meta WHERE key = 'source'");
  if (!rows) return fail(rows.error());
  if (auto started = rows->start(); !started) return fail(started.error());
  if (!rows->has_row()) return std::nullopt;
  return rows->text(0);
}

Status SqliteIndex::set_source(const std::string& source) {
  return write([&] {
    return db_.run(
        "INSERT INTO imgcachefs_meta (key, value) VALUES ('source', ?) "
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        {source});
  });
}

Result<std::unique_ptr<CacheIndex>> make_index(const CacheLayout& layout, SqliteConnection db) {
  auto dir = posix::open_at(layout.dir(Place::kCached), ".", O_RDONLY | O_DIRECTORY);
  if (!dir) return fail(dir.error().in(layout.path()));
  return std::make_unique<SqliteIndex>(std::move(db), std::move(*dir));
}

// What can be read of a database that cannot be used. The source above all: without it the
// directory would be taken for nobody's.
Status salvage(const CacheLayout& layout, CacheIndex& into) {
  auto db = SqliteConnection::open_as_it_is(layout.index_path());
  if (!db) return fail(db.error());
  auto old = make_index(layout, std::move(*db));
  if (!old) return fail(old.error());
  auto source = (*old)->source();
  if (!source) return fail(source.error());
  if (*source)
    if (auto done = into.set_source(**source); !done) return done;
  auto rows = (*old)->all();
  if (!rows) return fail(rows.error());
  return into.take_over(*rows);
}

}  // namespace

Result<std::unique_ptr<CacheIndex>> open_sqlite_index(const CacheLayout& layout, bool create) {
  auto db = open_sqlite_database(layout, create);
  if (db) return make_index(layout, std::move(*db));
  if (!create || db.error().kind == ErrorKind::kBusy) return fail(db.error());
  auto in_memory = open_sqlite_in_memory();
  if (!in_memory) return fail(db.error());
  auto index = make_index(layout, std::move(*in_memory));
  if (!index) return index;
  const auto salvaged = salvage(layout, **index);
  spdlog::warn("{}; the index is kept in memory{}: hits and pins from now on are lost at unmount",
               db.error().message, salvaged ? ", with what cache.db says" : "");
  return index;
}

}  // namespace imgcachefs
