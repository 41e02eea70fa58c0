#include "fetch/blob_places.h"

#include <algorithm>

namespace imgcachefs {

void BlobPlaces::found(const Digest& blob, const std::string& repository) {
  add(blob, repository, true);
}

void BlobPlaces::hinted(const Digest& blob, const std::string& repository) {
  add(blob, repository, false);
}

void BlobPlaces::add(const Digest& blob, const std::string& repository, bool first) {
  const std::string key = blob.tagged();
  std::lock_guard lock(mutex_);
  auto [at, is_new] = blobs_.try_emplace(key);
  Known& known = at->second;
  if (is_new) {
    by_age_.push_front(key);
    known.age = by_age_.begin();
  } else {
    by_age_.splice(by_age_.begin(), by_age_, known.age);
  }
  auto& all = known.repositories;
  auto there = std::find(all.begin(), all.end(), repository);
  if (there == all.end()) {
    if (all.size() >= kMostRepositories) all.pop_back();
    all.insert(first ? all.begin() : all.end(), repository);
  } else if (first) {
    std::rotate(all.begin(), there, there + 1);
  }
  if (blobs_.size() > most_blobs_) {
    blobs_.erase(by_age_.back());
    by_age_.pop_back();
  }
}

void BlobPlaces::lost(const Digest& blob, const std::string& repository) {
  std::lock_guard lock(mutex_);
  auto at = blobs_.find(blob.tagged());
  if (at == blobs_.end() || at->second.repositories.size() == 1) return;
  std::erase(at->second.repositories, repository);
}

std::vector<std::string> BlobPlaces::of(const Digest& blob) const {
  std::lock_guard lock(mutex_);
  auto at = blobs_.find(blob.tagged());
  return at == blobs_.end() ? std::vector<std::string>() : at->second.repositories;
}

}  // namespace imgcachefs
