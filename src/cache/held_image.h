// HeldImage: the file of a cached image, looked at as the disk has it.
//
// It is held with a shared flock, so that it is not evicted meanwhile. It is read past the page
// cache where the file system can (O_DIRECT): what guests use stays in memory; and without a new
// access time where that is allowed (O_NOATIME). Of one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/digest.h"
#include "cache/cache_layout.h"

namespace imgcachefs {

// Told how many bytes of the image were hashed so far; false ends it (kCancelled).
using VerifyProgress = std::function<bool(uint64_t bytes)>;

class HeldImage {
 public:
  // kNotFound: it is not cached. kStale: it was removed meanwhile. kBusy: it is being evicted.
  // `layout` outlives it.
  static Result<HeldImage> hold(const CacheLayout& layout, const ImageId& id);

  const struct stat& st() const { return st_; }
  uint64_t size() const { return static_cast<uint64_t>(st_.st_size); }  // bytes

  // Takes as long as reading the whole image. kStale: its name means another file by now, or none.
  Result<Digest> hash(DigestAlgo algo, const VerifyProgress& progress) const;

  // To invalid/<id>, over what is there; the reason is left on the file as Glance leaves it
  // (user.error), where the file system can. kStale as above. Its row is the caller's to remove.
  Status quarantine(const std::string& reason) const;

 private:
  HeldImage(const CacheLayout& layout, const ImageId& id, UniqueFd fd, const struct stat& st)
      : layout_(&layout), id_(id), fd_(std::move(fd)), st_(st) {}
  Status still_named() const;

  const CacheLayout* layout_;
  ImageId id_;
  UniqueFd fd_;
  struct stat st_;
};

}  // namespace imgcachefs
