#include "cache/found_images.h"

namespace imgcachefs {

bool is_or_lies_below(const std::string& repository, const std::string& path) {
  return path.empty() || repository == path ||
         (repository.starts_with(path) && repository[path.size()] == '/');
}

std::string next_component(const std::string& repository, const std::string& path) {
  if (!is_or_lies_below(repository, path) || repository == path) return "";
  const size_t begin = path.empty() ? 0 : path.size() + 1;
  return repository.substr(begin, repository.find('/', begin) - begin);
}

bool FoundImages::take(ByRepository& from, const ImageIn& image) {
  auto at = from.find(image.first);
  if (at == from.end() || at->second.erase(image.second) == 0) return false;
  if (at->second.empty()) from.erase(at);
  return true;
}

void FoundImages::add_uncached(const ImageIn& found) {
  if (!uncached_[found.first].insert(found.second).second) return;
  uncached_in_order_.push_back(found);
  if (uncached_in_order_.size() <= most_uncached_) return;
  take(uncached_, uncached_in_order_.front());
  uncached_in_order_.pop_front();
}

void FoundImages::add(const ImageIn& found, bool cached) {
  std::lock_guard lock(mutex_);
  if (!cached) {
    auto at = cached_.find(found.first);
    if (at == cached_.end() || !at->second.contains(found.second)) add_uncached(found);
    return;
  }
  take(uncached_, found);
  cached_count_ += cached_[found.first].insert(found.second).second;
}

bool FoundImages::remove(const ImageIn& lost) {
  std::lock_guard lock(mutex_);
  if (take(uncached_, lost)) return true;
  if (!take(cached_, lost)) return false;
  --cached_count_;
  return true;
}

std::vector<ImageId> FoundImages::remove_all(const std::string& repository) {
  std::lock_guard lock(mutex_);
  std::vector<ImageId> removed;
  for (ByRepository* from : {&uncached_, &cached_}) {
    auto all = from->extract(repository);
    if (all.empty()) continue;
    if (from == &cached_) cached_count_ -= all.mapped().size();
    removed.insert(removed.end(), all.mapped().begin(), all.mapped().end());
  }
  return removed;
}

FoundImages::Names FoundImages::repositories_of(const ImageId& id) const {
  std::lock_guard lock(mutex_);
  std::set<std::string> names;
  for (const ByRepository* in : {&cached_, &uncached_})
    for (const auto& [repository, images] : *in)
      if (images.contains(id)) names.insert(repository);
  return {names.begin(), names.end()};
}

void FoundImages::is_cached_now(const ImageId& id) {
  std::lock_guard lock(mutex_);
  for (auto at = uncached_.begin(); at != uncached_.end();) {
    auto& [repository, images] = *at;
    if (images.erase(id) != 0) cached_count_ += cached_[repository].insert(id).second;
    at = images.empty() ? uncached_.erase(at) : std::next(at);
  }
}

void FoundImages::is_not_cached_now(const ImageIn& found) {
  std::lock_guard lock(mutex_);
  if (!take(cached_, found)) return;
  --cached_count_;
  add_uncached(found);
}

bool FoundImages::is_cached(const ImageIn& found) const {
  std::lock_guard lock(mutex_);
  auto at = cached_.find(found.first);
  return at != cached_.end() && at->second.contains(found.second);
}

NameList FoundImages::cached_in(const std::string& repository) const {
  NameList names;
  std::lock_guard lock(mutex_);
  if (auto at = cached_.find(repository); at != cached_.end())
    for (const ImageId& id : at->second) names.add(id.str());
  return names;
}

std::optional<FoundImages::ImageIn> FoundImages::some_cached_below(const std::string& path) const {
  std::lock_guard lock(mutex_);
  auto at = cached_.find(path);
  // '/' is not the first of the characters of names: "a-b" comes between "a" and "a/b".
  if (at == cached_.end()) at = cached_.lower_bound(path.empty() ? path : path + "/");
  if (at == cached_.end() || !is_or_lies_below(at->first, path)) return std::nullopt;
  return ImageIn(at->first, *at->second.begin());
}

FoundImages::Names FoundImages::names_below(const std::string& path) const {
  const std::string prefix = path.empty() ? "" : path + "/";
  std::lock_guard lock(mutex_);
  std::set<std::string> names;
  for (auto at = cached_.lower_bound(prefix); at != cached_.end();) {
    std::string name = next_component(at->first, path);
    if (name.empty()) break;
    // Past all that lies below it: '0' comes after '/'.
    at = at->first == prefix + name ? std::next(at) : cached_.lower_bound(prefix + name + "0");
    names.insert(std::move(name));
  }
  return {names.begin(), names.end()};
}

std::vector<FoundImages::ImageIn> FoundImages::all_cached() const {
  std::lock_guard lock(mutex_);
  std::vector<ImageIn> all;
  all.reserve(cached_count_);
  for (const auto& [repository, images] : cached_)
    for (const ImageId& id : images) all.emplace_back(repository, id);
  return all;
}

size_t FoundImages::count_cached() const {
  std::lock_guard lock(mutex_);
  return cached_count_;
}

}  // namespace imgcachefs
