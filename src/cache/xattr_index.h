// CacheIndex in extended attributes of the cached files: Glance's, to the letter, and ours beside.
//
//     user.hits                                  Glance's (glance_attributes.h)
//     user.imgcachefs.{checksum,verified,etag,last_modified,size}
//     user.imgcachefs.pinned                     "1"; none: it is not
//     user.imgcachefs.source                     of <cache_dir> itself
//
// last_accessed is the file's access time, last_modified its modification time. Neither is left to
// the kernel: with noatime it would never move the first one, with relatime once a day. `checksum`
// and `verified` ("1", "0") and the validator (`etag`, `last_modified`) hold while the file has the
// size that `size` says; it is written last, so a half written record is none. A file without
// user.hits has no row. Hits that Glance counts in the very moment in which we do may be lost:
// reading and writing an attribute are two steps, to it as to us.
#pragma once

#include <memory>

#include "cache/cache_index.h"

namespace imgcachefs {

// Nothing is written, and nothing asked of the file system: see takes_attributes().
Result<std::unique_ptr<CacheIndex>> open_xattr_index(const CacheLayout& layout);

// kInvalid says why the cache directory does not take these attributes.
Status takes_attributes(const CacheLayout& layout);

}  // namespace imgcachefs
