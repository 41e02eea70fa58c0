// Glance's own ImageCache (python3-glance) on a cache directory: what glance-api, the pruner, the
// cleaner and the prefetcher would do there, call by call.
//
//     GlanceCache glance(mount.cache_dir(), "sqlite");
//     EXPECT_EQ(glance.call("is_cached", {id}), true);
//     const auto results = glance.calls({{"queue_image", a}, {"get_queued_images"}});
//
// Each calls() is a process of its own, which takes about a second: put together what belongs
// together. glance_cache.py says what there is beside the methods of ImageCache and its drivers.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace imgcachefs::test {

class GlanceCache {
 public:
  // options: image_cache_max_size, image_cache_stall_time
  GlanceCache(std::string cache_dir, std::string driver,
              std::map<std::string, uint64_t> options = {})
      : cache_dir_(std::move(cache_dir)),
        driver_(std::move(driver)),
        options_(std::move(options)) {}

  // One result for each call: {"error": name} for an exception. Throws std::runtime_error when
  // the cache as such cannot be had.
  using Call = std::vector<nlohmann::json>;  // the method, and its arguments
  nlohmann::json calls(const std::vector<Call>& calls) const;
  nlohmann::json call(const std::string& method, const Call& arguments = {}) const;

 private:
  std::string cache_dir_, driver_;
  std::map<std::string, uint64_t> options_;
};

}  // namespace imgcachefs::test
