#include "fetch/memory_layer_info.h"

#include <mutex>

#include "fetch/recent_map.h"

namespace imgcachefs {
namespace {

class MemoryMembership final : public LayerMembership {
 public:
  explicit MemoryMembership(MemoryLayerInfoOptions options)
      : options_(std::move(options)), added_at_(options_.most) {}

  bool contains(const std::string& repository, const Digest& blob) override {
    std::lock_guard lock(mutex_);
    const std::string key = key_of(repository, blob);
    const auto* added_at = added_at_.find(key);
    if (added_at == nullptr) return false;
    if (!options_.believe || options_.now() - *added_at <= *options_.believe) return true;
    added_at_.erase(key);
    return false;
  }

  void add(const std::string& repository, const Digest& blob) override {
    std::lock_guard lock(mutex_);
    added_at_.put(key_of(repository, blob), options_.now());
  }

  void remove(const std::string& repository, const Digest& blob) override {
    std::lock_guard lock(mutex_);
    added_at_.erase(key_of(repository, blob));
  }

 private:
  // No digest has a '@', so the last one parts the two.
  static std::string key_of(const std::string& repository, const Digest& blob) {
    return repository + "@" + blob.tagged();
  }

  const MemoryLayerInfoOptions options_;
  std::mutex mutex_;  // protects added_at_
  RecentMap<MemoryLayerInfoOptions::Clock::time_point> added_at_;
};

class MemoryInfos final : public LayerInfos {
 public:
  explicit MemoryInfos(size_t most) : infos_(most) {}

  std::optional<LayerInfo> get(const Digest& blob) override {
    std::lock_guard lock(mutex_);
    const LayerInfo* found = infos_.find(blob.tagged());
    return found == nullptr ? std::nullopt : std::optional(*found);
  }

  void set(const Digest& blob, const LayerInfo& info) override {
    std::lock_guard lock(mutex_);
    infos_.put(blob.tagged(), info);
  }

  void remove(const Digest& blob) override {
    std::lock_guard lock(mutex_);
    infos_.erase(blob.tagged());
  }

 private:
  std::mutex mutex_;  // protects infos_
  RecentMap<LayerInfo> infos_;
};

}  // namespace

LayerInfoCache memory_layer_info(MemoryLayerInfoOptions options) {
  const size_t most = options.most;
  return {std::make_shared<MemoryMembership>(std::move(options)),
          std::make_shared<MemoryInfos>(most)};
}

}  // namespace imgcachefs
