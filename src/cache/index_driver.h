// Which CacheIndex a cache directory has: the one place that knows the drivers by name.
//
// A directory has one driver at a time, for Glance's xattr driver would take cache.db for an image.
// Changing it loses nothing: what the one knew is carried over to the other. So the presence of
// cache.db tells which one a directory has.
#pragma once

#include <memory>
#include <string>

#include "cache/cache_index.h"

namespace imgcachefs {

// For the daemon. `driver` as the user gave it; one that there is not, or that cannot be used here,
// is sqlite, with a warning that says which and why. From sqlite to xattr, cache.db ends as
// invalid/cache.db.replaced.
Result<std::unique_ptr<CacheIndex>> open_index(const CacheLayout& layout,
                                               const std::string& driver);

// For tools: the one the directory has; nothing is made or changed. kNotFound: it has none.
Result<std::unique_ptr<CacheIndex>> open_existing_index(const CacheLayout& layout);

}  // namespace imgcachefs
