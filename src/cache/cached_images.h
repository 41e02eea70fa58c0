// CachedImages: the images that are cached, found in the directory, opened, and held against what
// upstream says of them now.
//
// A cached image needs no upstream to be right, so while upstream is silent it is served; but
// upstream's word counts: what it has changed or removed is dropped, and what it refuses (a
// deactivated image, access taken away) is refused, once what it said last is `revalidate` old.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "cache/adopted_images.h"
#include "cache/cache_layout.h"
#include "cache/cache_records.h"
#include "cache/cached_image.h"
#include "cache/image_table.h"
#include "cache/inquiries.h"
#include "cache/space_budget.h"
#include "cache/store_config.h"

namespace imgcachefs {

// Thread-safe. What it is given must outlive it.
class CachedImages {
 public:
  // `changeable`: what an ID means may change upstream. Else upstream is not asked about images
  // that are cached.
  CachedImages(const StoreConfig& config, const CacheLayout& layout, CacheRecords& records,
               ImageTable& table, SpaceBudget& budget, Inquiries& inquiries, AdoptedImages& adopted,
               bool changeable)
      : config_(config),
        layout_(layout),
        records_(records),
        table_(table),
        budget_(budget),
        inquiries_(inquiries),
        adopted_(adopted),
        changeable_(changeable) {}

  std::shared_ptr<CachedImage> find(const ImageId& id);  // nullptr: it is not cached

  using OpenDone = std::function<void(Result<std::unique_ptr<ImageHandle>>)>;
  // Asks upstream first, for seconds at most, when what it said is not believed any more. kStale:
  // it is not the image to open any more. Counts a hit.
  void open(const std::shared_ptr<CachedImage>& image, OpenDone done);

  // Asks upstream as open() would, but nobody waits for it. A look at a large directory must not
  // become a storm: beyond a few questions at a time there is none.
  void refresh(const std::shared_ptr<CachedImage>& image);

  // Whether what upstream says is the version that is cached.
  bool agrees(const ImageInfo& said, const CachedImage& image);
  enum class Why { kChanged, kGone };  // upstream
  void drop(const CachedImage& image, Why why);

  void forget_outage() { outage_until_ = std::chrono::steady_clock::time_point(); }

  uint64_t hits() const { return hits_; }
  uint64_t dropped(Why why) const { return dropped_[static_cast<size_t>(why)]; }

 private:
  // An unfinished file that another program called cached: it was taken back.
  bool was_unfinished(const ImageId& id, const struct stat& st) const;
  bool asks_upstream(const ImageId& id) const;
  // Takes in what upstream said, and does what follows. An error: it is not to be opened.
  Status heard(const CachedImage& image, const Result<ImageInfo>& said);
  // `said`: what upstream answered to this open, if it was asked.
  void open_file(const std::shared_ptr<CachedImage>& image, const ImageInfo* said,
                 const OpenDone& done);
  void have_verified(const std::shared_ptr<CachedImage>& image, const ImageInfo* said);

  const StoreConfig& config_;
  const CacheLayout& layout_;
  CacheRecords& records_;
  ImageTable& table_;
  SpaceBudget& budget_;
  Inquiries& inquiries_;
  AdoptedImages& adopted_;
  const bool changeable_;
  std::atomic<uint64_t> hits_{0};
  std::array<std::atomic<uint64_t>, 2> dropped_{};  // by Why
  std::atomic<unsigned> refreshing_{0};
  std::atomic<std::chrono::steady_clock::time_point> outage_until_{};
};

}  // namespace imgcachefs
