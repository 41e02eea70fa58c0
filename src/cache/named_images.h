// NamedImages: which image upstream's name stands for. Where several have the same name, it is the
// one created last.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/worker_pool.h"
#include "cache/store_config.h"
#include "fetch/upstream.h"

namespace imgcachefs {

struct NamedImage {
  std::string name;
  ImageId id;
};

// Thread-safe; mutex_ protects the maps and is not held while upstream is asked.
class NamedImages {
 public:
  // `upstream` nullptr: its images have no names.
  NamedImages(const StoreConfig& config, ImageNames* upstream, WorkerPool& askers,
              std::stop_token stop)
      : config_(config), upstream_(upstream), askers_(askers), stop_(std::move(stop)) {}

  bool exist() const { return upstream_ != nullptr; }

  using Done = std::function<void(Result<ImageId>)>;
  // From what upstream said within `revalidate`, else by asking it, one question for all who want
  // to know. Upstream silent: what it said last. kNotFound when there is none.
  void find(const std::string& name, Done done);

  // A catalogue was read: it says of every name it has which image it is.
  void catalogued(const std::vector<CatalogueEntry>& entries);
  std::vector<NamedImage> all() const;  // of the last catalogue, sorted by name

 private:
  using Clock = std::chrono::steady_clock;
  struct Known {
    std::optional<ImageId> id;  // nullopt: upstream has none of that name
    Clock::time_point heard;
    bool catalogued = false;  // the last catalogue has it
  };
  bool believed(const Known& known) const;
  void ask(const std::string& name);
  Result<ImageId> answered(const std::string& name, const Result<CatalogueEntry>& said);

  const StoreConfig& config_;
  ImageNames* const upstream_;
  WorkerPool& askers_;
  const std::stop_token stop_;
  mutable std::mutex mutex_;
  std::map<std::string, Known> known_;
  std::map<std::string, std::vector<Done>> waiting_;
};

}  // namespace imgcachefs
