#include "cache/cached_image.h"

#include <fmt/format.h>

#include "cache/eviction.h"

namespace imgcachefs {
namespace {

class CachedHandle final : public ImageHandle {
 public:
  CachedHandle(UniqueFd fd, uint64_t size, std::shared_ptr<const std::atomic<Standing>> standing)
      : fd_(std::move(fd)), size_(size), standing_(std::move(standing)) {}

  void read(ByteRange range, ReadDone done) override {
    if (*standing_ == Standing::kWrong)
      return done(fail(ErrorKind::kCorrupt, "the cached image had a wrong checksum"));
    range = clip(range, size_);
    done(ImageBytes::in_file(fd_.get(), range));
  }
  int complete_fd() const override { return *standing_ == Standing::kWrong ? -1 : fd_.get(); }
  int passthrough_fd() const override { return *standing_ == Standing::kSettled ? fd_.get() : -1; }

 private:
  const UniqueFd fd_;
  const uint64_t size_;
  const std::shared_ptr<const std::atomic<Standing>> standing_;
};

}  // namespace

CachedImage::CachedImage(const CacheLayout& layout, CacheRecords& records, ImageId id,
                         uint64_t serial, const struct stat& st)
    : layout_(layout),
      records_(records),
      id_(std::move(id)),
      serial_(serial),
      st_(st),
      standing_(std::make_shared<std::atomic<Standing>>(Standing::kOpen)) {}

void CachedImage::settle() const {
  auto open = Standing::kOpen;
  standing_->compare_exchange_strong(open, Standing::kSettled);
}

void CachedImage::condemn() const {
  *standing_ = Standing::kWrong;
}

bool CachedImage::settled() const {
  return *standing_ == Standing::kSettled;
}

bool CachedImage::is(const struct stat& st) const {
  return posix::untouched(st_, st);
}

ImageAttr CachedImage::attr() const {
  ImageAttr attr{static_cast<uint64_t>(st_.st_size), static_cast<uint64_t>(st_.st_blocks) * 512,
                 wall_time(st_.st_mtim), wall_time(st_.st_mtim)};
  if (auto record = records_.find(id_)) {
    attr.last_accessed = record->last_accessed;
    attr.last_modified = record->last_modified;
  }
  return attr;
}

ImageDetails CachedImage::details() const {
  ImageDetails details;
  details.state = ImageState::kCached;
  details.cached_bytes = static_cast<uint64_t>(st_.st_size);
  // imgcachectl and Glance write to the index too.
  if (auto record = records_.find_fresh(id_)) {
    details.hits = record->hits;
    details.last_accessed = record->last_accessed;
    details.checksum = record->checksum;
    details.verified = record->verified;
    details.pinned = record->pinned;
  }
  return details;
}

Result<std::unique_ptr<ImageHandle>> CachedImage::open() const {
  const int dir = layout_.dir(Place::kCached);
  const auto stale = [&] {
    return fail(ErrorKind::kStale, fmt::format("{}: not the file it was", id_.str()));
  };
  auto fd = posix::open_unnoticed_at(layout_.reading_dir(), id_.str(), O_RDONLY | O_NOFOLLOW);
  if (!fd) return fd.error().kind == ErrorKind::kNotFound ? stale() : fail(fd.error());
  Status locked = lock_in_use(fd->get());
  if (!locked) return fail(locked.error().in(id_.str()));
  // Only now: it may have been unlinked between the open and the lock.
  auto there = posix::stat_at(dir, id_.str());
  auto opened = posix::stat_fd(fd->get());
  if (!there || !opened || !is(*there) || !is(*opened)) return stale();
  return std::make_unique<CachedHandle>(std::move(*fd), static_cast<uint64_t>(st_.st_size),
                                        standing_);
}

}  // namespace imgcachefs
