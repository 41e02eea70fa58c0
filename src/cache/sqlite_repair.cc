#include "cache/sqlite_repair.h"

#include <algorithm>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "cache/glance_attributes.h"

namespace imgcachefs {
namespace {

// As many rows are read or written at a time: others wait milliseconds for the database.
constexpr size_t kPiece = 1000;

// Rows that are not as the files are, as far as a look at one after the other can tell.
struct Differences {
  std::vector<std::string> gone;  // rows without a file
  std::vector<std::string> resized;
  std::vector<StoredFile> strange;   // files without a row
  std::vector<std::string> orphans;  // rows of ours without Glance's
};

using Sizes = std::unordered_map<std::string, int64_t>;

Result<Sizes> sizes_in_rows(SqliteConnection& db, std::mutex& mutex) {
  Sizes sizes;
  int64_t last = std::numeric_limits<int64_t>::min();
  for (size_t read = kPiece; read == kPiece;) {
    read = 0;
    std::lock_guard lock(mutex);
    auto rows = db.prepare(
        "SELECT rowid, image_id, size FROM cached_images WHERE rowid > ? ORDER BY rowid LIMIT ?");
    if (!rows) return fail(rows.error());
    auto status = rows->start({last, int64_t{kPiece}});
    for (; status && rows->has_row(); status = rows->next(), ++read) {
      last = rows->integer(0);
      sizes.emplace(rows->text(1), rows->integer(2));
    }
    if (!status) return fail(status.error());
  }
  return sizes;
}

Status find_orphans(SqliteConnection& db, std::mutex& mutex, std::vector<std::string>& orphans) {
  std::lock_guard lock(mutex);
  auto rows = db.prepare(
      "SELECT image_id FROM imgcachefs_images WHERE image_id NOT IN "
      "(SELECT image_id FROM cached_images WHERE image_id IS NOT NULL)");
  if (!rows) return fail(rows.error());
  auto status = rows->start();
  for (; status && rows->has_row(); status = rows->next()) orphans.push_back(rows->text(0));
  return status;
}

Result<Differences> compare(SqliteConnection& db, std::mutex& mutex,
                            const CacheIndex::CachedFiles& cached) {
  Differences found;
  auto sizes = sizes_in_rows(db, mutex);
  if (!sizes) return fail(sizes.error());
  auto walked = cached([&](StoredFile file) -> Status {
    auto row = sizes->find(file.id.str());
    if (row == sizes->end()) {
      found.strange.push_back(std::move(file));
      return {};
    }
    if (row->second != file.st.st_size) found.resized.push_back(row->first);
    sizes->erase(row);
    return {};
  });
  if (!walked) return fail(walked.error());
  for (auto& [id, size] : *sizes) found.gone.push_back(id);
  if (auto done = find_orphans(db, mutex, found.orphans); !done) return fail(done.error());
  return found;
}

// What an xattr driver (Glance's, ours) has counted of a file that has no row here.
uint64_t hits_of(int dir, const std::string& name) {
  auto fd = posix::open_unnoticed_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return 0;
  auto hits = read_hits(fd->get());
  return hits && *hits ? (*hits)->hits : 0;
}

// Calls `change(item)` for all of them, a piece in one transaction.
template <typename Item, typename Change>
Status in_pieces(SqliteConnection& db, std::mutex& mutex, const std::vector<Item>& items,
                 Change change) {
  for (size_t at = 0; at < items.size(); at += kPiece) {
    std::lock_guard lock(mutex);
    auto transaction = SqliteTransaction::begin(db);
    if (!transaction) return fail(transaction.error());
    for (const Item& item : std::span(items).subspan(at, std::min(kPiece, items.size() - at)))
      if (Status done = change(item); !done) return done;
    if (auto done = transaction->commit(); !done) return done;
  }
  return {};
}

constexpr const char* kDropOrphan =
    "DELETE FROM imgcachefs_images WHERE image_id = ?1 AND NOT EXISTS "
    "(SELECT 1 FROM cached_images WHERE image_id = ?1)";

// An image may have been cached since the look at the directory.
Status drop(SqliteConnection& db, std::mutex& mutex, int dir,
            const std::vector<std::string>& gone) {
  return in_pieces(db, mutex, gone, [&](const std::string& id) -> Status {
    auto st = posix::stat_at(dir, id);
    if (st && S_ISREG(st->st_mode)) return {};
    if (auto done = db.run("DELETE FROM cached_images WHERE image_id = ?", {id}); !done)
      return done;
    return db.run("DELETE FROM imgcachefs_images WHERE image_id = ?", {id});
  });
}

// Another size is another content: what was known of the old one holds no more. The pin does, it is
// the operator's word about the name.
Status resize(SqliteConnection& db, std::mutex& mutex, int dir,
              const std::vector<std::string>& resized) {
  return in_pieces(db, mutex, resized, [&](const std::string& id) -> Status {
    auto st = posix::stat_at(dir, id);
    if (!st || !S_ISREG(st->st_mode)) return {};
    const int64_t size = st->st_size;
    if (auto done =
            db.run("UPDATE cached_images SET size = ?2 WHERE image_id = ?1 AND size IS NOT ?2",
                   {id, size});
        !done)
      return done;
    if (db.changes() == 0) return {};  // its row came right since
    return db.run(
        "UPDATE imgcachefs_images SET checksum = NULL, verified = 0, etag = NULL, "
        "last_modified = NULL WHERE image_id = ?",
        {id});
  });
}

Status adopt(SqliteConnection& db, std::mutex& mutex, int dir,
             const std::vector<StoredFile>& strange) {
  return in_pieces(db, mutex, strange, [&](const StoredFile& file) -> Status {
    const std::string& id = file.id.str();
    // A row of ours is worth nothing for an image that Glance put there.
    if (auto done = db.run(kDropOrphan, {id}); !done) return done;
    const double modified = to_unix(wall_time(file.st.st_mtim));
    // With noatime the access time may be older than the file's content.
    const double accessed = std::max(to_unix(wall_time(file.st.st_atim)), modified);
    return db.run(
        "INSERT OR IGNORE INTO cached_images (image_id, last_accessed, last_modified, size, hits) "
        "VALUES (?, ?, ?, ?, ?)",
        {id, accessed, modified, int64_t{file.st.st_size}, static_cast<int64_t>(hits_of(dir, id))});
  });
}

}  // namespace

Status repair_rows(SqliteConnection& db, std::mutex& mutex, int dir,
                   const CacheIndex::CachedFiles& cached) {
  auto found = compare(db, mutex, cached);
  if (!found) return fail(found.error());
  if (auto done = drop(db, mutex, dir, found->gone); !done) return done;
  auto orphaned = in_pieces(db, mutex, found->orphans,
                            [&](const std::string& id) { return db.run(kDropOrphan, {id}); });
  if (!orphaned) return orphaned;
  if (auto done = resize(db, mutex, dir, found->resized); !done) return done;
  if (auto done = adopt(db, mutex, dir, found->strange); !done) return done;
  if (!found->gone.empty() || !found->resized.empty() || !found->strange.empty())
    spdlog::info("index: {} images without a row, {} rows without an image, {} of another size",
                 found->strange.size(), found->gone.size(), found->resized.size());
  return {};
}

}  // namespace imgcachefs
