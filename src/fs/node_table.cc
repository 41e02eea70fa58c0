#include "fs/node_table.h"

#include <algorithm>
#include <mutex>

namespace imgcachefs {

uint64_t NodeTable::add(const std::shared_ptr<Image>& image) {
  const uint64_t id = node::of_serial(image->serial());
  std::unique_lock lock(mutex_);
  ++entries_.try_emplace(id, Entry{image}).first->second.lookups;
  return id;
}

uint64_t NodeTable::add(const Link& link) {
  std::unique_lock lock(mutex_);
  auto [at, is_new] = links_.try_emplace(link, next_link_);
  if (is_new) entries_.try_emplace(next_link_++, Entry{link});
  ++entries_.at(at->second).lookups;
  return at->second;
}

void NodeTable::forget(uint64_t node, uint64_t count) {
  std::variant<std::shared_ptr<Image>, Link> last;  // before the lock, so destroyed after it
  std::unique_lock lock(mutex_);
  auto found = entries_.find(node);
  if (found == entries_.end()) return;
  found->second.lookups -= std::min(count, found->second.lookups);
  if (found->second.lookups != 0) return;
  last = std::move(found->second.what);
  if (const Link* link = std::get_if<Link>(&last)) links_.erase(*link);
  entries_.erase(found);
}

std::shared_ptr<Image> NodeTable::find(uint64_t node) const {
  std::shared_lock lock(mutex_);
  auto found = entries_.find(node);
  const auto* image =
      found == entries_.end() ? nullptr : std::get_if<std::shared_ptr<Image>>(&found->second.what);
  return image ? *image : nullptr;
}

std::optional<Link> NodeTable::find_link(uint64_t node) const {
  std::shared_lock lock(mutex_);
  auto found = entries_.find(node);
  const auto* link = found == entries_.end() ? nullptr : std::get_if<Link>(&found->second.what);
  return link ? std::optional(*link) : std::nullopt;
}

size_t NodeTable::size() const {
  std::shared_lock lock(mutex_);
  return entries_.size();
}

}  // namespace imgcachefs
