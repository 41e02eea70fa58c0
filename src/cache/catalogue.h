// What upstream says it has, with `list=all` (DESIGN 2.2), and what is cached: the names `ls`
// shows.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <unordered_map>
#include <vector>

#include "base/worker_pool.h"
#include "cache/cache_layout.h"
#include "cache/name_list.h"
#include "cache/named_images.h"
#include "cache/store_config.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// A catalogue of many pages takes its time. It is read in a thread of its own and nobody else's
// waits for it: a crowd of `ls` holds up no open. Thread-safe; mutex_ protects what upstream said
// last, and who waits for what it says next.
class Catalogue {
 public:
  Catalogue(const StoreConfig& config, const CacheLayout& layout, Upstream& upstream,
            NamedImages& named, std::stop_token stop)
      : config_(config),
        layout_(layout),
        upstream_(upstream),
        named_(named),
        stop_(std::move(stop)),
        lister_("lister", 1) {}

  // Calls `done`, once, when what follows is as new as it shall be: at once, or from a thread of
  // its own when upstream has spoken. It is asked at most once per `revalidate`, with the patience
  // of one try for each page; when it does not answer, its last word holds, and it is not asked
  // again for a while. Who comes while it is being asked gets that answer.
  void refresh(std::function<void()> done);
  void close();  // after `stop` was requested: answers who waits, and joins

  Result<NameList> ids() const;  // sorted; reads the directory
  // The same of the names that upstream gives its images; none without `list=all`.
  std::vector<NamedImage> names() const;

  struct Said {
    ImageInfo info;
    std::chrono::steady_clock::time_point when;
  };
  // What the last catalogue said of an image, if it says as much as upstream's stat() would, and is
  // believed: so `ls -l` asks one question and not one per image.
  std::optional<Said> said_of(const ImageId& id) const;
  void forget(const ImageId& id);  // it turned out not to be so
  void doubt();                    // all of it: it is asked for anew, and shown until then

 private:
  using Clock = std::chrono::steady_clock;
  void ask();
  void doubt_held();  // with mutex_ held

  const StoreConfig& config_;
  const CacheLayout& layout_;
  Upstream& upstream_;
  NamedImages& named_;
  const std::stop_token stop_;
  mutable std::mutex mutex_;
  std::vector<std::function<void()>> waiting_;  // not empty: upstream is being asked
  std::unordered_map<ImageId, std::optional<ImageInfo>> said_;
  Clock::time_point when_{};                    // of said_
  Clock::time_point doubted_{};                 // what was asked for before is not believed
  std::optional<Clock::time_point> ask_again_;  // nullopt: never asked
  WorkerPool lister_;
};

}  // namespace imgcachefs
