// CachedImage: an image that is whole and verified on disk. Its handle is a descriptor and nothing
// else: a read takes no lock and asks nobody.
//
// What Glance cached, or was left by a crash, is held against upstream's checksum after its first
// open (adopted_images.h). Until it is settled that nothing will be said against it, its file is
// not given away (ImageHandle::passthrough_file); when it turns out wrong, the handles of that time
// answer kCorrupt.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "cache/cache_layout.h"
#include "cache/cache_records.h"
#include "cache/image.h"

namespace imgcachefs {

// The file of a cached image, open once for all who have the image open, and for who kept it: to
// open it again is then a look at its name. Held with a shared flock as long as it has users; a
// file that is only kept is evicted as any other.
class CachedFile {
 public:
  explicit CachedFile(UniqueFd fd) : fd_(std::move(fd)) {}
  int fd() const { return fd_.get(); }
  Status use();  // kBusy: it is being evicted
  void unuse();

 private:
  const UniqueFd fd_;
  std::mutex mutex_;  // held while the lock is taken, which others would have to wait for too
  unsigned users_ = 0;
};

enum class Standing { kOpen, kSettled, kWrong };

class CachedImage final : public Image {
 public:
  // `st`: of the file in <cache_dir>; with it the object stands for that very file.
  CachedImage(const CacheLayout& layout, CacheRecords& records, ImageId id, uint64_t serial,
              const struct stat& st);

  const ImageId& id() const override { return id_; }
  uint64_t serial() const override { return serial_; }
  bool is_cached() const override { return true; }
  ImageAttr attr() const override;
  ImageDetails details() const override;

  const struct stat& st() const { return st_; }
  bool is(const struct stat& st) const;  // the same file, untouched since

  // For good, either of them.
  void settle() const;   // verified, or nothing is published to verify it by
  void condemn() const;  // its checksum is wrong
  bool settled() const;

  // kStale: the file is gone or another by now. Holds it with a shared flock while open.
  Result<std::unique_ptr<ImageHandle>> open() const;

 private:
  const CacheLayout& layout_;
  CacheRecords& records_;
  const ImageId id_;
  const uint64_t serial_;
  const struct stat st_;
  const std::shared_ptr<std::atomic<Standing>> standing_;
  mutable std::mutex mutex_;  // protects file_; held while it is opened
  mutable std::weak_ptr<CachedFile> file_;

  tl::unexpected<Error> stale() const;
  Result<std::shared_ptr<CachedFile>> file() const;  // open, and used by one more
};

}  // namespace imgcachefs
