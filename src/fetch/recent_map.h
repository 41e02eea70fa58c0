// A map of bounded size: what was not used for longest makes room.
#pragma once

#include <cstddef>
#include <list>
#include <string>
#include <unordered_map>
#include <utility>

namespace imgcachefs {

// Not thread-safe.
template <typename Value>
class RecentMap {
 public:
  explicit RecentMap(size_t most) : most_(most) {}

  // nullptr: there is none. Good until the map is changed; finding it counts as use.
  Value* find(const std::string& key) {
    auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    latest_first_.splice(latest_first_.begin(), latest_first_, found->second);
    return &found->second->second;
  }

  void put(const std::string& key, Value value) {
    if (Value* known = find(key)) {
      *known = std::move(value);
      return;
    }
    latest_first_.emplace_front(key, std::move(value));
    by_key_[key] = latest_first_.begin();
    if (by_key_.size() <= most_) return;
    by_key_.erase(latest_first_.back().first);
    latest_first_.pop_back();
  }

  void erase(const std::string& key) {
    auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    latest_first_.erase(found->second);
    by_key_.erase(found);
  }

  size_t size() const { return by_key_.size(); }

 private:
  using Entries = std::list<std::pair<std::string, Value>>;
  const size_t most_;
  Entries latest_first_;
  std::unordered_map<std::string, typename Entries::iterator> by_key_;
};

}  // namespace imgcachefs
