// glance_conf=FILE: the options of Glance's own image cache, taken from its configuration.
//
//     [DEFAULT]
//     image_cache_dir        -> cache_dir
//     image_cache_driver     -> driver
//     image_cache_max_size   -> max_size, in bytes
//     image_cache_stall_time -> stall_time, in seconds
//
// Everything else in the file is Glance's and not looked at, but for image_cache_sqlite_db, which
// must be cache.db. The format is oslo.config's; a value with a `$` in it would have to be put
// together of others, and is refused.
#pragma once

#include <string>

#include "base/result.h"
#include "fs/settings.h"

namespace imgcachefs {

// The settings rank below every option that was given to us. kInvalid names the file, and the line
// where there is one.
Result<Settings> read_glance_conf(const std::string& path);
Result<Settings> parse_glance_conf(const std::string& text, const std::string& path);

}  // namespace imgcachefs
