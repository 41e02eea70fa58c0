// CacheIndex in <cache_dir>/cache.db: Glance's table, to the letter, and ours beside it.
//
//     CREATE TABLE IF NOT EXISTS cached_images (image_id TEXT PRIMARY KEY, last_accessed REAL
//     DEFAULT 0.0,
//         last_modified REAL DEFAULT 0.0, size INTEGER DEFAULT 0, hits INTEGER DEFAULT 0, checksum
//         TEXT);
//     CREATE TABLE IF NOT EXISTS imgcachefs_images (image_id TEXT PRIMARY KEY, checksum TEXT,
//         verified INTEGER DEFAULT 0, etag TEXT, last_modified TEXT, pinned INTEGER DEFAULT 0);
//     CREATE TABLE IF NOT EXISTS imgcachefs_meta (key TEXT PRIMARY KEY, value TEXT);
//
// Times are Unix seconds. Source: Glance's image_cache/drivers/sqlite.py; its `checksum` column is
// never written by Glance and neither by us. journal_mode stays DELETE: WAL's side files would be
// taken for images by Glance (real-upstreams/NOTES.md, section 4.5). A row of ours without Glance's
// (it deleted or pruned the image) counts for nothing.
#pragma once

#include <memory>

#include "cache/cache_index.h"

namespace imgcachefs {

// `create` false (imgcachectl): a missing database is kNotFound, and one that cannot be used an
// error. Else: a database that is corrupt, no regular file, or cannot be opened or written is set
// aside as invalid/cache.db.corrupt with a warning, and a new one is begun; where there can be none
// on disk (it cannot be moved, the disk is full), one in memory is, which knows what could be read
// of the old one and is lost with the process. kBusy: another program does not let go of it.
Result<std::unique_ptr<CacheIndex>> open_sqlite_index(const CacheLayout& layout, bool create);

}  // namespace imgcachefs
