#include "cache/cached_image.h"

#include <fmt/format.h>

#include "cache/eviction.h"

namespace imgcachefs {
namespace {

class CachedHandle final : public ImageHandle {
 public:
  // `file`: one use of it, which this gives back.
  CachedHandle(std::shared_ptr<CachedFile> file, uint64_t size,
               std::shared_ptr<const std::atomic<Standing>> standing)
      : file_(std::move(file)), size_(size), standing_(std::move(standing)) {}
  ~CachedHandle() override { file_->unuse(); }

  void read(ByteRange range, ReadDone done) override {
    if (*standing_ == Standing::kWrong)
      return done(fail(ErrorKind::kCorrupt, "the cached image had a wrong checksum"));
    range = clip(range, size_);
    done(ImageBytes::in_file(file_->fd(), range));
  }
  int complete_fd() const override { return *standing_ == Standing::kWrong ? -1 : file_->fd(); }
  GivenFile passthrough_file() const override {
    if (*standing_ != Standing::kSettled) return {};
    return {file_->fd(), file_};
  }

 private:
  const std::shared_ptr<CachedFile> file_;
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

Status CachedFile::use() {
  std::lock_guard lock(mutex_);
  if (users_ == 0)
    if (Status locked = lock_in_use(fd_.get()); !locked) return locked;
  ++users_;
  return {};
}

void CachedFile::unuse() {
  std::lock_guard lock(mutex_);
  if (--users_ == 0) posix::unlock(fd_.get());
}

Result<std::shared_ptr<CachedFile>> CachedImage::file() const {
  std::lock_guard lock(mutex_);
  auto file = file_.lock();
  if (!file) {
    auto fd = posix::open_unnoticed_at(layout_.reading_dir(), id_.str(), O_RDONLY | O_NOFOLLOW);
    if (!fd) return fd.error().kind == ErrorKind::kNotFound ? stale() : fail(fd.error());
    auto opened = posix::stat_fd(fd->get());
    if (!opened || !is(*opened)) return stale();
    file = std::make_shared<CachedFile>(std::move(*fd));
    file_ = file;
  }
  if (Status used = file->use(); !used) return fail(used.error().in(id_.str()));
  return file;
}

tl::unexpected<Error> CachedImage::stale() const {
  return fail(ErrorKind::kStale, fmt::format("{}: not the file it was", id_.str()));
}

Result<std::unique_ptr<ImageHandle>> CachedImage::open() const {
  auto file = this->file();
  if (!file) return fail(file.error());
  auto handle = std::make_unique<CachedHandle>(std::move(*file), static_cast<uint64_t>(st_.st_size),
                                               standing_);
  // Only now: it may have been unlinked between the open and the lock.
  auto there = posix::stat_at(layout_.dir(Place::kCached), id_.str());
  if (!there || !is(*there)) return stale();
  return handle;
}

}  // namespace imgcachefs
