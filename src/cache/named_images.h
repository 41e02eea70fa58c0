// NamedImages: which image upstream's name stands for. Where several have the same name, it is the
// one created last.
#pragma once

#include <functional>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "cache/believed.h"
#include "cache/store_config.h"
#include "fetch/upstream.h"

namespace imgcachefs {

struct NamedImage {
  std::string name;
  ImageId id;
};

// Thread-safe; mutex_ protects catalogued_.
class NamedImages {
 public:
  // Whether upstream was just heard to say that there is no such image. With a lock held: quick.
  using Gone = std::function<bool(const ImageId&)>;

  // `upstream` nullptr: its images have no names.
  NamedImages(const StoreConfig& config, ImageNames* upstream, AskingThreads threads, Gone gone,
              std::stop_token stop);

  bool exist() const { return upstream_ != nullptr; }

  using Done = std::function<void(Result<ImageId>)>;
  // As it is believed (believed.h). kNotFound when there is none.
  void find(const std::string& name, Done done);

  void doubt_all() { meaning_.doubt_all(); }

  using Clock = std::chrono::steady_clock;
  // A catalogue was read, beginning at `asked`: it says of every name it has which image it is.
  void catalogued(const std::vector<CatalogueEntry>& entries, Clock::time_point asked);
  std::vector<NamedImage> all() const;  // of the last catalogue, sorted by name

 private:
  ImageNames* const upstream_;
  Believed<std::string, ImageId> meaning_;
  mutable std::mutex mutex_;
  std::set<std::string> catalogued_;  // the names of the last catalogue
};

}  // namespace imgcachefs
