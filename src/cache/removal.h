// Taking one file out of the cache, when nobody uses it: for eviction.cc, whose head says how the
// two sides agree.
#pragma once

#include "cache/cache_layout.h"

namespace imgcachefs {

// Which incomplete files are in use though nobody of ours has them: Glance's own, which it renames
// by name when it is done, whatever has the name by then.
enum class Strangers {
  kOpen,        // those that are open
  kOpenOrFresh  // or may be between their last byte and the rename
};

// The file, held so that nobody opens it. kBusy: in use. kNotFound: gone, or not the same any more.
Result<UniqueFd> hold_unused(const CacheLayout& layout, Place place, const ImageId& id,
                             Strangers strangers);

// Removes a file that the caller holds. Its row goes after it.
Status remove_held(const CacheLayout& layout, Place place, const ImageId& id);

// Removes one file, or says whether it could be. False: it stays, which is no error.
bool remove_unused(const CacheLayout& layout, Place place, const ImageId& id, Strangers strangers,
                   bool dry_run);

}  // namespace imgcachefs
