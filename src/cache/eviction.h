// Taking images out of the cache: the one implementation, for the daemon's janitor and space budget
// as well as for imgcachectl, which works on the same directory while the daemon runs.
//
// Who uses a file (an open image, a fill) holds it with a shared flock; here an exclusive one is
// taken before the unlink, and what is in use is left alone. So, for the two sides to agree:
//   - who opens a file locks it, and looks then whether it still has its name: else it lost the
//   race
//     and the image is not cached;
//   - a shared lock may be refused for the moment it takes to ask or to unlink: try again;
//   - an incomplete file is made before its map, and its map goes before it, under its lock.
// Nothing is remembered between calls, and any number of processes may do this at once: a file that
// is gone already was somebody else's catch. Errors on single files are logged and skipped.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "cache/cache_index.h"
#include "cache/cache_layout.h"

namespace imgcachefs {

// What a file counts for: a cached image its size (as Glance counts), an incomplete or invalid one,
// which is sparse, what it takes on disk.
uint64_t counted_bytes(Place place, const struct stat& st);

// Holds a file as one that is used, until the descriptor is closed. Waits a moment for an evictor
// who only looks; kBusy: somebody does not let go.
Status lock_in_use(int fd);

struct Removed {
  ImageId id;
  Place place;
  uint64_t bytes = 0;  // counted_bytes of it
};

struct Removals {
  std::vector<Removed> files;  // in the order they went
  uint64_t bytes = 0;          // of them all
};

// `index` may be nullptr everywhere below: a directory without one has no pins.

// Takes one image out: its cached file and its row, its incomplete file and its map; all or
// nothing. kNotFound: neither is there. kBusy: in use or pinned.
Result<Removals> evict(const CacheLayout& layout, CacheIndex* index, const ImageId& id);

// The same of many: their rows are left, for forget_rows() to take out together. One transaction
// for each would take longer than all the rest.
Result<Removals> evict_files(const CacheLayout& layout, CacheIndex* index, const ImageId& id);
void forget_rows(const CacheLayout& layout, CacheIndex* index, const std::vector<Removed>& files,
                 size_t from = 0);    // of files[from] and those behind it
constexpr size_t kRowsAtOnce = 4000;  // others wait a quarter of a second for the database then

// Takes out images until what all of them count for is at most `max_size` bytes, or nothing is left
// that may go: the invalid ones first, then cached and incomplete ones, least recently used first
// (by the index; without a row, by the file's times). Pinned ones and those in use stay.
Result<Removals> prune(const CacheLayout& layout, CacheIndex* index, uint64_t max_size,
                       bool dry_run);

// The same, until at least `bytes` were freed.
Result<Removals> free_space(const CacheLayout& layout, CacheIndex* index, uint64_t bytes,
                            bool dry_run);

// A cached image and its last use, as somebody remembers it.
struct LastUse {
  ImageId id;
  WallTime when;
};

// The same, or nothing when so many cannot go, with no look at all that is cached: of cached images
// only those of `order` go, the least recently used first, and only as long as the index knows of
// no later use. What was looked at and does not have to be again is taken out of `order`.
Result<Removals> free_space(const CacheLayout& layout, CacheIndex& index,
                            std::vector<LastUse>& order, uint64_t bytes);

// Takes out every invalid image, every incomplete one not in use that was last written longer than
// `stall_time` ago (0: all), and maps without an image.
Result<Removals> clean(const CacheLayout& layout, std::chrono::seconds stall_time, bool dry_run);

}  // namespace imgcachefs
