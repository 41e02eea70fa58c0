// What a mount asks of its cache: the options of DESIGN 2.1 that concern it, with their defaults.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace imgcachefs {

enum class FillMode { kAuto, kDemand, kFull };
enum class VerifyMode { kComplete, kBeforeRead };

struct StoreConfig {
  std::string cache_dir = "/var/cache/imgcachefs";
  std::string source;               // as given, recorded in the directory
  std::string driver = "sqlite";    // of the index, as asked for: see index_driver.h
  uint64_t max_size = 10ULL << 30;  // bytes
  uint64_t min_free = 0;            // bytes of the cache's file system
  std::chrono::seconds stall_time{86400};
  std::chrono::seconds janitor_interval{300};
  FillMode fill = FillMode::kAuto;
  VerifyMode verify = VerifyMode::kComplete;
  std::optional<std::chrono::seconds> revalidate{300};  // nullopt: never
  std::chrono::seconds negative_ttl{5};
  bool list_all = false;
  uint32_t chunk_size = 64 << 10;  // bytes, a power of two from 4 KiB to 64 MiB
  unsigned connections = 8;
  uint64_t limit_rate = 0;  // bytes per second of background filling; 0: no limit
};

}  // namespace imgcachefs
