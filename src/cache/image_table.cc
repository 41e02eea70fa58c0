#include "cache/image_table.h"

#include <utility>

namespace imgcachefs {
namespace {

constexpr std::chrono::seconds kPurgePause{1};

}  // namespace

bool ImageTable::fresh(const Entry& entry) const {
  if (!entry.heard) return false;
  return !believe_ || Clock::now() - *entry.heard < *believe_;
}

bool ImageTable::has_cached(const ImageId& id, const struct stat& st) const {
  std::lock_guard lock(mutex_);
  auto at = entries_.find(id);
  const auto image = at == entries_.end() ? nullptr : at->second.cached.lock();
  return image && image->is(st);
}

std::shared_ptr<RemoteImage> ImageTable::remote(const ImageId& id) const {
  std::lock_guard lock(mutex_);
  auto at = entries_.find(id);
  return at == entries_.end() ? nullptr : at->second.remote;
}

std::optional<Error> ImageTable::refusal(const ImageId& id) const {
  std::lock_guard lock(mutex_);
  auto at = entries_.find(id);
  if (at == entries_.end() || !at->second.refused || Clock::now() >= at->second.refused_until)
    return std::nullopt;
  return at->second.refused;
}

bool ImageTable::refused_since(const ImageId& id, Clock::time_point when) const {
  std::lock_guard lock(mutex_);
  auto at = entries_.find(id);
  return at != entries_.end() && at->second.refused &&
         at->second.refused_until - believe_negative_ >= when;
}

bool ImageTable::believed(const ImageId& id) const {
  std::lock_guard lock(mutex_);
  auto at = entries_.find(id);
  return at != entries_.end() && fresh(at->second);
}

bool ImageTable::is_current(const Image& image) const {
  std::lock_guard lock(mutex_);
  auto at = entries_.find(image.id());
  if (at == entries_.end()) return false;
  const auto cached = at->second.cached.lock();
  return cached.get() == &image || at->second.remote.get() == &image;
}

void ImageTable::heard(const ImageId& id, Clock::time_point when) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[id];
  if (!entry.heard || *entry.heard < when) entry.heard = when;
  entry.refused.reset();
}

void ImageTable::refused(const ImageId& id, const Error& error) {
  std::vector<std::shared_ptr<RemoteImage>> last;
  std::lock_guard lock(mutex_);
  auto at = entries_.find(id);
  if (at == entries_.end()) {
    // Not for each of a crowd: a purge looks at all.
    if (refusals_ >= kMostRefusals && Clock::now() >= purge_again_) {
      purge(last);
      purge_again_ = Clock::now() + kPurgePause;
    }
    if (refusals_ >= kMostRefusals) return;
    ++refusals_;
    at = entries_.try_emplace(id).first;
  }
  Entry& entry = at->second;
  entry.refused = error;
  entry.refused_until = Clock::now() + believe_negative_;
  entry.heard.reset();
}

bool ImageTable::put(const std::shared_ptr<RemoteImage>& image, const RemoteImage* instead_of) {
  std::shared_ptr<RemoteImage> last;  // freed outside the lock
  std::lock_guard lock(mutex_);
  auto& current = entries_[image->id()].remote;
  if (current.get() != instead_of) return false;
  last = std::exchange(current, image);
  return true;
}

bool ImageTable::remove(const RemoteImage& image, const std::string& error) {
  std::shared_ptr<RemoteImage> last;  // freed outside the lock
  std::lock_guard lock(mutex_);
  auto at = entries_.find(image.id());
  if (at == entries_.end() || at->second.remote.get() != &image) return false;
  last = std::move(at->second.remote);
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
  auto at = entries_.find(id);
  return at == entries_.end() ? std::string() : at->second.last_error;
}

std::vector<std::shared_ptr<RemoteImage>> ImageTable::remotes() const {
  std::vector<std::shared_ptr<RemoteImage>> images;
  std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : entries_)
    if (entry.remote) images.push_back(entry.remote);
  return images;
}

void ImageTable::purge() {
  std::vector<std::shared_ptr<RemoteImage>> last;  // freed outside the lock
  std::lock_guard lock(mutex_);
  purge(last);
}

void ImageTable::purge(std::vector<std::shared_ptr<RemoteImage>>& last) {
  refusals_ = 0;
  for (auto at = entries_.begin(); at != entries_.end();) {
    Entry& entry = at->second;
    const bool refused = entry.refused && Clock::now() < entry.refused_until;
    const bool remote_used = entry.remote && (entry.remote.use_count() > 1 || entry.remote->fill());
    // With revalidate=never a cached image keeps what was heard of it; others may be asked for
    // again.
    const bool kept =
        refused || remote_used || !entry.cached.expired() || (believe_ && fresh(entry));
    if (kept) {
      refusals_ += refused && !entry.remote && entry.cached.expired();
      ++at;
      continue;
    }
    if (entry.remote) last.push_back(std::move(entry.remote));
    at = entries_.erase(at);
  }
}

}  // namespace imgcachefs
