// CachedImage: an image that is whole and verified on disk. Its handle is a descriptor and nothing
// else: a read takes no lock and asks nobody.
#pragma once

#include <memory>

#include "cache/cache_layout.h"
#include "cache/cache_records.h"
#include "cache/image.h"

namespace imgcachefs {

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

  // kStale: the file is gone or another by now. Holds it with a shared flock while open.
  Result<std::unique_ptr<ImageHandle>> open() const;

 private:
  const CacheLayout& layout_;
  CacheRecords& records_;
  const ImageId id_;
  const uint64_t serial_;
  const struct stat st_;
};

}  // namespace imgcachefs
