// The rows of cache.db held against the files there are: see CacheIndex::repair.
#pragma once

#include <mutex>

#include "cache/cache_index.h"
#include "cache/sqlite_connection.h"

namespace imgcachefs {

// `mutex` protects `db` and is held for one piece of the work at a time, never while `cached` walks
// the directory, which is `dir`.
Status repair_rows(SqliteConnection& db, std::mutex& mutex, int dir,
                   const CacheIndex::CachedFiles& cached);

}  // namespace imgcachefs
