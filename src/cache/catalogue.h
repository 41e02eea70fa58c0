// What upstream says it has, with `list=all` (DESIGN 2.2), and what is cached: the names `ls`
// shows.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cache/cache_layout.h"
#include "cache/named_images.h"
#include "cache/store_config.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// Thread-safe; mutex_ protects what upstream said last. asking_ lets one ask while others wait for
// its answer, and is held across that question on purpose.
class Catalogue {
 public:
  Catalogue(const StoreConfig& config, const CacheLayout& layout, Upstream& upstream,
            NamedImages& named)
      : config_(config), layout_(layout), upstream_(upstream), named_(named) {}

  // Sorted. Asks upstream at most once per `revalidate`, with the patience of one try; when it does
  // not answer, its last word holds, and it is not asked again for a while.
  Result<std::vector<ImageId>> ids(std::stop_token stop);
  // The same of the names that upstream gives its images; none without `list=all`.
  std::vector<NamedImage> names(std::stop_token stop);

  struct Said {
    ImageInfo info;
    std::chrono::steady_clock::time_point when;
  };
  // What the last catalogue said of an image, if it says as much as upstream's stat() would, and is
  // believed: so `ls -l` asks one question and not one per image.
  std::optional<Said> said_of(const ImageId& id) const;
  void forget(const ImageId& id);  // it turned out not to be so

 private:
  using Clock = std::chrono::steady_clock;
  void ask(std::stop_token stop);

  const StoreConfig& config_;
  const CacheLayout& layout_;
  Upstream& upstream_;
  NamedImages& named_;
  std::mutex asking_;
  mutable std::mutex mutex_;
  std::unordered_map<ImageId, std::optional<ImageInfo>> said_;
  Clock::time_point when_{};                    // of said_
  std::optional<Clock::time_point> ask_again_;  // nullopt: never asked
};

}  // namespace imgcachefs
