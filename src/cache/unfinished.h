// Unfinished: an incomplete file of ours, told wherever it lies.
//
// Glance ends its caching with rename(incomplete/<id>, <id>), by name. When its own file was taken
// away meanwhile and we have begun one under that name, this makes ours, half filled, look cached.
// So an incomplete file of ours has a mark on it, the extended attribute user.imgcachefs.unfinished
// with the image's size in decimal digits, and it is unfinished while it has its tail (ImageFile)
// too: what Glance truncated and wrote anew is Glance's, mark or not. Where the file system has no
// attributes, the chunk map tells the image's size.
//
// Thread-safe: plain functions on the directory.
#pragma once

#include <cstdint>

#include "cache/cache_layout.h"
#include "fetch/image_id.h"

namespace imgcachefs {

// How long an incomplete file of ours is beyond its image, in bytes.
constexpr uint64_t kIncompleteTail = 1;

// A file system without attributes is no error.
Status mark_unfinished(int fd, uint64_t image_size);
Status mark_finished(int fd);
bool is_marked_unfinished(int fd);  // it has both mark and tail

// Whether the file of that name in <cache_dir>, `st` of it, is one that is not to be called cached.
// Costs an open of the file.
bool is_unfinished(const CacheLayout& layout, const ImageId& id, const struct stat& st);

// Takes an unfinished file out of <cache_dir>: back to incomplete/, where its fill goes on, or away
// if that name is taken. False: it is none, and stays.
bool take_back_unfinished(const CacheLayout& layout, const ImageId& id, const struct stat& st);

// Whether the incomplete file is being filled by another program: somebody has it open; or, as it
// is not open between the last byte and the rename, it is none of ours and was written to within
// the last minute. `has_map`, or a tail: it is ours.
bool is_filled_by_others(int fd, const struct stat& st, bool has_map);

}  // namespace imgcachefs
