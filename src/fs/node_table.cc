#include "fs/node_table.h"

#include <algorithm>
#include <mutex>

namespace imgcachefs {

uint64_t NodeTable::add(const Found& found) {
  std::unique_lock lock(mutex_);
  if (const auto* image = std::get_if<std::shared_ptr<Image>>(&found)) {
    const uint64_t id = node::of_serial((*image)->serial());
    ++images_.try_emplace(id, Entry<std::shared_ptr<Image>>{*image}).first->second.lookups;
    return id;
  }
  const auto& named = std::get<NamedNode>(found);
  const auto [at, is_new] = ids_of_named_.try_emplace(named, next_named_);
  if (is_new) ++next_named_;
  ++named_.try_emplace(at->second, Entry<NamedNode>{named}).first->second.lookups;
  return at->second;
}

template <typename What>
typename NodeTable::Nodes<What>::node_type NodeTable::take(Nodes<What>& from, uint64_t node,
                                                           uint64_t count) {
  auto found = from.find(node);
  if (found == from.end()) return {};
  found->second.lookups -= std::min(count, found->second.lookups);
  if (found->second.lookups != 0) return {};
  return from.extract(found);
}

void NodeTable::forget(uint64_t node, uint64_t count) {
  Nodes<std::shared_ptr<Image>>::node_type last;  // before the lock, so destroyed after it
  std::unique_lock lock(mutex_);
  last = take(images_, node, count);
  if (auto named = take(named_, node, count)) ids_of_named_.erase(named.mapped().what);
}

std::optional<Found> NodeTable::find(uint64_t node) const {
  if (node == node::kRoot) return NamedNode(Directory{});
  std::shared_lock lock(mutex_);
  if (auto image = images_.find(node); image != images_.end()) return image->second.what;
  if (auto named = named_.find(node); named != named_.end()) return named->second.what;
  return std::nullopt;
}

std::shared_ptr<Image> NodeTable::find_image(uint64_t node) const {
  std::shared_lock lock(mutex_);
  auto found = images_.find(node);
  return found == images_.end() ? nullptr : found->second.what;
}

size_t NodeTable::size() const {
  std::shared_lock lock(mutex_);
  return images_.size() + named_.size();
}

}  // namespace imgcachefs
