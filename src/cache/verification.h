// Verification: what is on disk of a cached image against the checksum that was published for it.
//
// For imgcachectl, at any time and beside a daemon. (A daemon does so by itself for what it
// adopted: adopted_images.h.)
#pragma once

#include <optional>
#include <string>

#include "base/digest.h"
#include "cache/cache_index.h"
#include "cache/cache_layout.h"
#include "cache/held_image.h"

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

// Takes as long as reading the whole image. `index` may be nullptr: then nothing is known.
// kNotFound: it is not cached. kStale: it was replaced or removed meanwhile. kBusy: it is being
// evicted.
Result<Verification> verify_cached(const CacheLayout& layout, CacheIndex* index, const ImageId& id,
                                   const VerifyProgress& progress);

// What is to be said of an image that is wrong.
std::string wrong_checksum(const ImageId& id, const Digest& expected, const Digest& actual);

}  // namespace imgcachefs
