#include "cache/remote_image.h"

#include <fmt/format.h>

#include "base/log.h"

namespace imgcachefs {

class RemoteImage::Handle final : public ImageHandle {
 public:
  Handle(std::shared_ptr<RemoteImage> image, std::shared_ptr<Fill> fill)
      : image_(std::move(image)), fill_(std::move(fill)) {}
  ~Handle() override {
    fill_.reset();
    image_->release();
  }

  void read(ByteRange range, ReadDone done) override {
    fill_->read(range, reader_, std::move(done));
  }
  int complete_fd() const override { return fill_->complete_fd(); }
  const std::shared_ptr<Fill>& fill() const { return fill_; }

 private:
  const std::shared_ptr<RemoteImage> image_;
  std::shared_ptr<Fill> fill_;
  Fill::Reader reader_;  // protected by the fill's mutex
};

RemoteImage::RemoteImage(FillContext& context, RemoteImageOwner& owner, ImageInfo info,
                         uint64_t serial, std::string last_error, bool resume)
    : context_(context),
      owner_(owner),
      info_(std::move(info)),
      serial_(serial),
      resume_(resume),
      last_error_(std::move(last_error)) {}

std::shared_ptr<Fill> RemoteImage::fill() const {
  std::lock_guard lock(mutex_);
  return fill_;
}

ImageAttr RemoteImage::attr() const {
  ImageAttr attr{info_.size, 0, {}, info_.mtime.value_or(WallTime{})};
  std::shared_ptr<Fill> fill;
  {
    std::lock_guard lock(mutex_);
    fill = fill_;
    attr.last_accessed = last_accessed_.value_or(attr.last_modified);
  }
  if (fill) {
    attr.on_disk = fill->present_bytes();
  } else if (auto st = posix::stat_at(context_.layout.dir(Place::kIncomplete), id().str())) {
    attr.on_disk = static_cast<uint64_t>(st->st_blocks) * 512;
  }
  return attr;
}

ImageDetails RemoteImage::details() const {
  ImageDetails details;
  std::shared_ptr<Fill> fill;
  {
    std::lock_guard lock(mutex_);
    fill = fill_;
    details.last_accessed = last_accessed_;
    details.error = last_error_;
  }
  if (committed_) {
    details.state = ImageState::kCached;
    details.cached_bytes = info_.size;
  }
  if (fill) {
    details.cached_bytes = fill->present_bytes();
    if (!committed_ && details.cached_bytes > 0) details.state = ImageState::kIncomplete;
    details.checksum = fill->checksum();
    details.verified = committed_ && fill->verified();
    details.error = fill->last_error();
  } else if (!committed_) {
    auto saved = ChunkMapFile::load(context_.layout.dir(Place::kMaps), id().str());
    if (saved && saved->header.validator == info_.validator &&
        saved->header.image_size == info_.size) {
      ChunkMap map(info_.size, saved->header.chunk_size);
      for (auto [chunk, checksum] : saved->present) map.land(chunk, checksum);
      details.cached_bytes = map.present_bytes();
      details.state = ImageState::kIncomplete;
    }
  }
  return details;
}

std::unique_ptr<ImageHandle> RemoteImage::new_handle(bool reads) {
  ++handles_;
  if (reads) last_accessed_ = std::chrono::system_clock::now();
  return std::make_unique<Handle>(shared_from_this(), fill_);
}

bool RemoteImage::over() const {
  return dead_ || (committed_ && !fill_);
}

bool RemoteImage::became(const struct stat& st) const {
  std::lock_guard lock(mutex_);
  return cached_file_ && posix::untouched(*cached_file_, st);
}

tl::unexpected<Error> RemoteImage::stale() const {
  return fail(ErrorKind::kStale, fmt::format("{}: not the current image any more", id().str()));
}

void RemoteImage::open(OpenDone done) {
  open({std::move(done), true});
}

void RemoteImage::fetch_whole(Fill::WholeDone done) {
  // Not even a file is made for it.
  if (info_.size > context_.budget.max_size())
    return done(fail(ErrorKind::kNoSpace,
                     fmt::format("{}: {} bytes are more than max_size", id().str(), info_.size)));
  auto opened = [done = std::move(done)](Result<std::unique_ptr<ImageHandle>> handle) {
    if (!handle) return done(fail(handle.error()));
    const std::shared_ptr<Fill> fill = static_cast<Handle&>(**handle).fill();
    // Held by who waits for the fill: an open one is not let go.
    fill->fetch_whole([done, held = std::shared_ptr<ImageHandle>(std::move(*handle))](
                          const Status& status) mutable {
      held.reset();  // first: who is told may want the room of what is not in use
      done(status);
    });
  };
  open({std::move(opened), false});
}

void RemoteImage::open(Opening opening) {
  std::unique_ptr<ImageHandle> handle;
  {
    std::unique_lock lock(mutex_);
    // Looked up before, and committed or given up since: it must not be fetched a second time.
    if (over()) {
      lock.unlock();
      return opening.done(stale());
    }
    if (fill_ && !moving_) {
      handle = new_handle(opening.reads);
    } else {
      opening_.push_back(std::move(opening));
      if (moving_) return;
      moving_ = true;
    }
  }
  if (handle) return opening.done(std::move(handle));
  open_fill();
}

void RemoteImage::open_fill() {
  auto fill = Fill::open(context_, info_, delivered_, weak_from_this(), resume_.exchange(true));
  if (context_.stop.stop_requested()) fill->shut_down();
  {
    std::lock_guard lock(mutex_);
    fill_ = fill;
    last_error_.clear();
  }
  const bool empty = info_.size == 0;
  moved();
  // The kernel reads nothing of an empty file: it would never become cached by being read.
  if (empty) fill->fetch_whole([](const Status&) {});
}

// Opens or closes are over: whoever came meanwhile is served.
void RemoteImage::moved() {
  std::vector<std::pair<OpenDone, std::unique_ptr<ImageHandle>>> opened;
  std::vector<Opening> refused;
  {
    std::lock_guard lock(mutex_);
    moving_ = false;
    if (over()) {
      refused = std::exchange(opening_, {});
    } else if (!opening_.empty() && !fill_) {
      moving_ = true;
    } else {
      for (Opening& opening : std::exchange(opening_, {}))
        opened.emplace_back(std::move(opening.done), new_handle(opening.reads));
    }
    if (!moving_ && opened.empty() && refused.empty()) return;
  }
  if (opened.empty() && refused.empty()) return open_fill();
  for (auto& [done, handle] : opened) done(std::move(handle));
  for (Opening& opening : refused) opening.done(stale());
}

void RemoteImage::release() {
  {
    std::lock_guard lock(mutex_);
    if (--handles_ > 0) return;
  }
  drop_finished_fill();
  owner_.handle_closed();
}

// A fill that came to its end is of use to those only who have it open; nobody tends it any more.
void RemoteImage::drop_finished_fill() {
  std::shared_ptr<Fill> last;  // freed outside the lock
  std::lock_guard lock(mutex_);
  if ((committed_ || dead_) && handles_ == 0 && !moving_) last = std::move(fill_);
}

bool RemoteImage::tend() {
  std::shared_ptr<Fill> fill = this->fill();
  if (!fill) return false;
  fill->go_on();
  fill->checkpoint();
  {
    std::lock_guard lock(mutex_);
    if (handles_ > 0 || moving_ || !opening_.empty() || !fill->idle()) return true;
    // Who asks for the state must not be told less than was said already: the saved map knows all
    // before the fill is let go.
    if (fill->has_unsaved()) return true;
    moving_ = true;
    last_error_ = fill->last_error();
    fill_.reset();
  }
  fill->checkpoint();
  fill->log_partial();
  fill.reset();
  moved();
  std::lock_guard lock(mutex_);
  return fill_ != nullptr;
}

void RemoteImage::supersede(const std::string& why) {
  dead_ = true;
  if (auto fill = this->fill()) {
    fill->supersede(why);
  } else {
    owner_.image_died(*this, Error{ErrorKind::kStale, why});
  }
}

void RemoteImage::shut_down() {
  if (auto fill = this->fill()) fill->shut_down();
}

void RemoteImage::fill_committing(const Fill& fill, int fd) {
  owner_.image_committing(*this, fd, fill.checksum(), fill.verified());
}

void RemoteImage::fill_committed(const Fill& fill) {
  committed_ = true;
  owner_.image_committed(*this, fill.checksum(), fill.verified());
  if (auto st = posix::stat_fd(fill.complete_fd())) {
    std::lock_guard lock(mutex_);
    cached_file_ = std::make_unique<const struct stat>(*st);
  }
  drop_finished_fill();
}

void RemoteImage::fill_died(const Fill&, const Error& error) {
  {
    std::lock_guard lock(mutex_);
    last_error_ = error.message;
  }
  owner_.image_died(*this, error);
  drop_finished_fill();
}

}  // namespace imgcachefs
