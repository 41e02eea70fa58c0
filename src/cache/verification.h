// Verification: what is on disk of a cached image against the checksum that was published for it.
//
// For imgcachectl and for the daemon, at any time and beside each other: the file is held with a
// shared flock while it is read, so that it is not evicted meanwhile; afterwards its name must
// still mean it. It is read past the page cache where the file system can (O_DIRECT): what the disk
// has is asked for, and what guests use stays in memory; and without a new access time where that
// is allowed (O_NOATIME).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/digest.h"
#include "cache/cache_index.h"
#include "cache/cache_layout.h"

namespace imgcachefs {

enum class Verdict {
  kRight,    // `verified` is recorded now
  kWrong,    // moved to invalid/, its row is gone; who has it open keeps it
  kUnknown,  // no checksum is known for it: nothing was read
};

struct Verification {
  Verdict verdict = Verdict::kUnknown;
  uint64_t size = 0;               // bytes
  std::optional<Digest> expected;  // unless kUnknown
  std::optional<Digest> actual;    // unless kUnknown
};

// Told how many bytes of the image were hashed so far; false ends it (kCancelled).
using VerifyProgress = std::function<bool(uint64_t bytes)>;

// Takes as long as reading the whole image. `index` may be nullptr: then nothing is known.
// kNotFound: it is not cached. kStale: it was replaced or removed meanwhile. kBusy: it is being
// evicted.
Result<Verification> verify_cached(const CacheLayout& layout, CacheIndex* index, const ImageId& id,
                                   const VerifyProgress& progress);

}  // namespace imgcachefs
