#include "fs/node_table.h"

#include <algorithm>
#include <mutex>

namespace imgcachefs {

uint64_t NodeTable::add(const std::shared_ptr<Image>& image) {
  const uint64_t id = node::of_serial(image->serial());
  std::unique_lock lock(mutex_);
  Entry& entry = entries_[id];
  if (!entry.image) entry.image = image;
  ++entry.lookups;
  return id;
}

void NodeTable::forget(uint64_t node, uint64_t count) {
  std::shared_ptr<Image> last;  // before the lock, so destroyed after it
  std::unique_lock lock(mutex_);
  auto found = entries_.find(node);
  if (found == entries_.end()) return;
  found->second.lookups -= std::min(count, found->second.lookups);
  if (found->second.lookups != 0) return;
  last = std::move(found->second.image);
  entries_.erase(found);
}

std::shared_ptr<Image> NodeTable::find(uint64_t node) const {
  std::shared_lock lock(mutex_);
  auto found = entries_.find(node);
  return found == entries_.end() ? nullptr : found->second.image;
}

size_t NodeTable::size() const {
  std::shared_lock lock(mutex_);
  return entries_.size();
}

}  // namespace imgcachefs
