#include "cache/image_table.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace imgcachefs {
namespace {

constexpr std::chrono::seconds kPurgePause{1};

}  // namespace

bool ImageTable::fresh(const ImageId& id) const {
  auto at = entries_.find(id);
  if (at == entries_.end() || at->second.heard == kNever) return false;
  return !believe_ || Clock::now() - at->second.heard < *believe_;
}

bool ImageTable::has_cached(const ImageId& id, const struct stat& st) const {
  std::lock_guard lock(mutex_);
  auto at = entries_.find(id);
  const auto image = at == entries_.end() ? nullptr : at->second.cached.lock();
  return image && image->is(st);
}

std::shared_ptr<RemoteImage> ImageTable::remote(const ImageId& id) const {
  std::lock_guard lock(mutex_);
  auto at = remotes_.find(id);
  return at == remotes_.end() ? nullptr : at->second.image;
}

std::optional<Error> ImageTable::refusal(const ImageId& id) const {
  std::lock_guard lock(mutex_);
  auto at = refusals_.find(id);
  if (at == refusals_.end() || Clock::now() >= at->second.until) return std::nullopt;
  return at->second.error;
}

bool ImageTable::refused_since(const ImageId& id, Clock::time_point when) const {
  std::lock_guard lock(mutex_);
  auto at = refusals_.find(id);
  return at != refusals_.end() && at->second.until - believe_negative_ >= when;
}

bool ImageTable::believed(const ImageId& id) const {
  std::lock_guard lock(mutex_);
  return fresh(id);
}

bool ImageTable::is_current(const Image& image) const {
  std::lock_guard lock(mutex_);
  if (auto at = entries_.find(image.id()); at != entries_.end())
    if (const auto cached = at->second.cached.lock(); cached.get() == &image) return true;
  auto at = remotes_.find(image.id());
  return at != remotes_.end() && at->second.image.get() == &image;
}

void ImageTable::forget_heard() {
  std::lock_guard lock(mutex_);
  for (auto& [id, entry] : entries_) entry.heard = kNever;
  refusals_.clear();
}

void ImageTable::heard(const ImageId& id, Clock::time_point when) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[id];
  entry.heard = std::max(entry.heard, when);
  refusals_.erase(id);
}

void ImageTable::refused(const ImageId& id, const Error& error) {
  std::vector<std::shared_ptr<RemoteImage>> last;
  std::lock_guard lock(mutex_);
  auto at = entries_.find(id);
  if (at == entries_.end() && !remotes_.contains(id)) {
    // Not for each of a crowd: a purge looks at all.
    if (refusals_.size() >= kMostRefusals && Clock::now() >= purge_again_) {
      purge(last);
      purge_again_ = Clock::now() + kPurgePause;
    }
    if (refusals_.size() >= kMostRefusals && !refusals_.contains(id)) return;
  }
  refusals_.insert_or_assign(id, Refusal{error, Clock::now() + believe_negative_});
  if (at != entries_.end()) at->second.heard = kNever;
}

bool ImageTable::put(const std::shared_ptr<RemoteImage>& image, const RemoteImage* instead_of) {
  std::shared_ptr<RemoteImage> last;  // freed outside the lock
  std::lock_guard lock(mutex_);
  auto& current = remotes_[image->id()].image;
  if (current.get() != instead_of) return false;
  last = std::exchange(current, image);
  return true;
}

bool ImageTable::remove(const RemoteImage& image, const std::string& error) {
  std::shared_ptr<RemoteImage> last;  // freed outside the lock
  std::lock_guard lock(mutex_);
  auto at = remotes_.find(image.id());
  if (at == remotes_.end() || at->second.image.get() != &image) return false;
  last = std::move(at->second.image);
  at->second.last_error = error;
  return true;
}

void ImageTable::forget_cached(const ImageId& id) {
  std::lock_guard lock(mutex_);
  auto at = entries_.find(id);
  if (at != entries_.end()) at->second.cached.reset();
}

std::string ImageTable::last_error(const ImageId& id) const {
  std::lock_guard lock(mutex_);
  auto at = remotes_.find(id);
  return at == remotes_.end() ? std::string() : at->second.last_error;
}

std::vector<std::shared_ptr<RemoteImage>> ImageTable::remotes() const {
  std::vector<std::shared_ptr<RemoteImage>> images;
  std::lock_guard lock(mutex_);
  for (const auto& [id, remote] : remotes_)
    if (remote.image) images.push_back(remote.image);
  return images;
}

void ImageTable::purge() {
  std::vector<std::shared_ptr<RemoteImage>> last;  // freed outside the lock
  std::lock_guard lock(mutex_);
  purge(last);
}

bool ImageTable::kept(const ImageId& id) const {
  if (auto at = refusals_.find(id); at != refusals_.end() && Clock::now() < at->second.until)
    return true;
  if (auto at = remotes_.find(id); at != remotes_.end() && at->second.image)
    if (at->second.image.use_count() > 1 || at->second.image->fill()) return true;
  if (auto at = entries_.find(id); at != entries_.end() && !at->second.cached.expired())
    return true;
  // With revalidate=never a cached image keeps what was heard of it; others may be asked for again.
  return believe_ && fresh(id);
}

void ImageTable::purge(std::vector<std::shared_ptr<RemoteImage>>& last) {
  // First found, then taken: what is kept of one depends on all three.
  std::unordered_set<ImageId> gone;
  const auto look_at = [&](const auto& all) {
    for (const auto& [id, one] : all)
      if (!kept(id)) gone.insert(id);
  };
  look_at(entries_);
  look_at(remotes_);
  look_at(refusals_);
  for (const ImageId& id : gone) {
    entries_.erase(id);
    refusals_.erase(id);
    auto remote = remotes_.extract(id);
    if (remote && remote.mapped().image) last.push_back(std::move(remote.mapped().image));
  }
}

}  // namespace imgcachefs
