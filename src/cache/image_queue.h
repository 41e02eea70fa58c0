// The queue, as Glance has it: queue/<id> is an empty file that says "this image is to be cached".
//
// Its order is that of (mtime, name), oldest first. Who caches the image, on behalf of whomever,
// takes it out. The directory is all there is: any number of processes, Glance among them, may do
// anything here at any time, with a daemon or without one. Thread-safe; owns nothing.
#pragma once

#include <vector>

#include "cache/cache_layout.h"

namespace imgcachefs {

class ImageQueue {
 public:
  explicit ImageQueue(const CacheLayout& layout) : layout_(layout) {}

  Result<bool> is_queued(const ImageId& id) const;

  enum class Outcome { kQueued, kAlreadyQueued, kCached, kBeingCached };
  // Puts it at the end of the queue, unless it is cached, queued or being cached: that is Glance's
  // queue_image, which is true for kQueued alone. Whether there is such an image is not asked.
  //
  // Better than Glance on purpose: there, an incomplete/<id> is being cached, so one that a crash
  // left blocks its image for a day. Ours is just as often a header that was looked at, which
  // nobody goes on filling. So it does not count here; the caller says whether a daemon is filling
  // the whole image now (`being_cached`).
  //
  // `repository`: where upstream has it, noted on its file (repository_marks.h); "": not known, or
  // there are no repositories. kIo: it is queued, but that cannot be noted.
  Result<Outcome> queue_image(const ImageId& id, bool being_cached,
                              const std::string& repository = "") const;

  // Asks anew for what is queued already: its place in the order stays, and a prefetcher that waits
  // before it tries again does so at once. kNotFound: it is not queued.
  Status renew(const ImageId& id) const;

  // Glance's delete_queued_image; false: it was not queued.
  Result<bool> remove(const ImageId& id) const;
  // Glance's delete_all_queued_images; those that went, in order. What is no ImageId stays.
  Result<std::vector<ImageId>> remove_all() const;

  // Glance's get_queued_images, in order. What is no ImageId, or no plain file, is left out.
  Result<std::vector<StoredFile>> images() const;

 private:
  Result<Outcome> queue_file(const ImageId& id, bool being_cached,
                             const std::string& repository) const;
  Status note_repository(const ImageId& id, const std::string& repository) const;

  const CacheLayout& layout_;
};

}  // namespace imgcachefs
