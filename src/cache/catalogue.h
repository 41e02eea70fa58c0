// The names `ls` shows (DESIGN 2.2): what is cached, and with `list=all` what upstream says it has.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <vector>

#include "cache/cache_layout.h"
#include "cache/store_config.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// Thread-safe; mutex_ protects what upstream said last. asking_ lets one ask while others wait for
// its answer, and is held across that question on purpose.
class Catalogue {
 public:
  Catalogue(const StoreConfig& config, const CacheLayout& layout, Upstream& upstream)
      : config_(config), layout_(layout), upstream_(upstream) {}

  // Sorted. Asks upstream at most once per `revalidate`, with the patience of one try; when it does
  // not answer, its last word holds, and it is not asked again for a while.
  Result<std::vector<ImageId>> names(std::stop_token stop);

 private:
  void ask(std::stop_token stop);

  const StoreConfig& config_;
  const CacheLayout& layout_;
  Upstream& upstream_;
  std::mutex asking_;
  std::mutex mutex_;
  std::vector<CatalogueEntry> said_;
  std::optional<std::chrono::steady_clock::time_point> ask_again_;  // nullopt: never asked
};

}  // namespace imgcachefs
