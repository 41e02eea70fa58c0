// AdoptedImages: cached images whose bytes nobody of ours has seen, held against the checksum that
// upstream publishes for them.
//
// Glance compares a checksum in memory while it downloads, records none, and publishes a harmed
// file where two first readers met. And a crash of ours between the rename and the row leaves a
// file of which nothing is known. So the first open of an image without `verified` has it read
// once, in the background: one image at a time, by a thread that goes after all others. What is
// right is recorded as verified; what is wrong goes to invalid/, who has it open gets kCorrupt from
// then on, and the next open fetches it anew. Until that is known the file itself is not given
// away.
//
// Once per file and run of the daemon, when upstream publishes no checksum; again at the next open
// when upstream did not answer.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <unordered_map>

#include "base/worker_pool.h"
#include "cache/cache_layout.h"
#include "cache/cache_records.h"
#include "cache/cached_image.h"
#include "cache/held_image.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// Thread-safe; mutex_ protects begun_ and is not held while anything is asked or read.
class AdoptedImages {
 public:
  // Told, on the verifier's thread and with no lock held: `image` lies in invalid/ and its row is
  // gone; so many bytes fewer are on disk for it.
  using FoundWrong = std::function<void(const CachedImage& image, uint64_t freed)>;

  // What it is given must outlive it, and `verifier` is closed before it ends: it has one thread.
  AdoptedImages(const CacheLayout& layout, CacheRecords& records, Upstream& upstream,
                WorkerPool& verifier, std::stop_token stop, FoundWrong found_wrong)
      : layout_(layout),
        records_(records),
        upstream_(upstream),
        verifier_(verifier),
        stop_(std::move(stop)),
        found_wrong_(std::move(found_wrong)) {}

  // Nothing is left to be said against it: it was verified, or no checksum is published for it.
  bool settled(const CachedImage& image);

  // Whether it is to be verified; true once for a file, so whoever is told calls verify() or
  // release() next.
  bool claim(const CachedImage& image);
  void release(const ImageId& id);  // not now; the next claim() is told again
  // `said`: what upstream says of it now, and it is the version that is cached. Never waits.
  void verify(std::shared_ptr<const CachedImage> image, const ImageInfo& said);

  // Upstream was asked for a checksum of this file when it was fetched, and has none.
  void has_no_checksum(const ImageId& id, const struct stat& st);

 private:
  bool is_recorded(const CachedImage& image) const;  // as verified
  Status judge(const CachedImage& image, const ImageInfo& said);
  Status condemn(const CachedImage& image, const HeldImage& held, const std::string& why);

  const CacheLayout& layout_;
  CacheRecords& records_;
  Upstream& upstream_;
  WorkerPool& verifier_;
  const std::stop_token stop_;
  const FoundWrong found_wrong_;
  std::mutex mutex_;
  struct Begun {
    struct stat st;  // the file, as it was then
    bool has_no_checksum = false;
  };
  std::unordered_map<ImageId, Begun> begun_;
};

}  // namespace imgcachefs
