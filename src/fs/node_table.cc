#include "fs/node_table.h"

#include <algorithm>
#include <mutex>

namespace imgcachefs {

uint64_t NodeTable::add(const Found& found) {
  std::unique_lock lock(mutex_);
  uint64_t id;
  if (const auto* image = std::get_if<std::shared_ptr<Image>>(&found)) {
    id = node::of_serial((*image)->serial());
  } else {
    const auto [at, is_new] = named_.try_emplace(std::get<NamedNode>(found), next_named_);
    if (is_new) ++next_named_;
    id = at->second;
  }
  ++entries_.try_emplace(id, Entry{found}).first->second.lookups;
  return id;
}

void NodeTable::forget(uint64_t node, uint64_t count) {
  Found last;  // before the lock, so destroyed after it
  std::unique_lock lock(mutex_);
  auto found = entries_.find(node);
  if (found == entries_.end()) return;
  found->second.lookups -= std::min(count, found->second.lookups);
  if (found->second.lookups != 0) return;
  last = std::move(found->second.what);
  if (const auto* named = std::get_if<NamedNode>(&last)) named_.erase(*named);
  entries_.erase(found);
}

std::optional<Found> NodeTable::find(uint64_t node) const {
  if (node == node::kRoot) return NamedNode(Directory{});
  std::shared_lock lock(mutex_);
  auto found = entries_.find(node);
  if (found == entries_.end()) return std::nullopt;
  return found->second.what;
}

std::shared_ptr<Image> NodeTable::find_image(uint64_t node) const {
  std::shared_lock lock(mutex_);
  auto found = entries_.find(node);
  const auto* image =
      found == entries_.end() ? nullptr : std::get_if<std::shared_ptr<Image>>(&found->second.what);
  return image ? *image : nullptr;
}

size_t NodeTable::size() const {
  std::shared_lock lock(mutex_);
  return entries_.size();
}

}  // namespace imgcachefs
