// cache.db as a connection that is ready for use: sound, with its tables, never in WAL mode.
#pragma once

#include "cache/cache_layout.h"
#include "cache/sqlite_connection.h"

namespace imgcachefs {

// As open_sqlite_index (sqlite_index.h) says.
Result<SqliteConnection> open_sqlite_database(const CacheLayout& layout, bool create);

}  // namespace imgcachefs
