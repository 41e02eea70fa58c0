// cache.db as a connection that is ready for use: sound, with its tables, never in WAL mode.
#pragma once

#include "cache/cache_layout.h"
#include "cache/sqlite_connection.h"

namespace imgcachefs {

// As open_sqlite_index (sqlite_index.h) says, but for the last resort.
Result<SqliteConnection> open_sqlite_database(const CacheLayout& layout, bool create);

Result<SqliteConnection> open_sqlite_in_memory();  // with its tables

// Moves cache.db, whatever it is, to invalid/cache.db.<suffix>, with a number when that is taken;
// returns the name there. Nobody may have it open.
Result<std::string> set_database_aside(const CacheLayout& layout, const std::string& suffix);

}  // namespace imgcachefs
