// The images whose ranges a server was seen not to send.
#pragma once

#include <mutex>
#include <unordered_set>

#include "fetch/image_id.h"

namespace imgcachefs {

// Thread-safe. Bounded: when it is full it begins anew, and what is forgotten is seen again.
class RangelessImages {
 public:
  bool contains(const ImageId& id) const {
    std::lock_guard lock(mutex_);
    return ids_.contains(id);
  }
  bool add(const ImageId& id) {  // whether it is news
    std::lock_guard lock(mutex_);
    if (ids_.size() >= kMost) ids_.clear();
    return ids_.insert(id).second;
  }

 private:
  static constexpr size_t kMost = 10'000;
  mutable std::mutex mutex_;  // protects ids_
  std::unordered_set<ImageId> ids_;
};

}  // namespace imgcachefs
