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
  // Whether upstream was just heard to say that there is no such image. With a lock held: quick.
  using Gone = std::function<bool(const ImageId&)>;

  // `upstream` nullptr: its images have no names. `patient` is for questions with all patience,
  // `brief` for those of one try.
  NamedImages(const StoreConfig& config, ImageNames* upstream, WorkerPool& patient,
              WorkerPool& brief, Gone gone, std::stop_token stop)
      : config_(config),
        upstream_(upstream),
        patient_(patient),
        brief_(brief),
        gone_(std::move(gone)),
        stop_(std::move(stop)) {}

  bool exist() const { return upstream_ != nullptr; }

  using Done = std::function<void(Result<ImageId>)>;
  // From what upstream said within `revalidate`, else by asking it, one question for all who want
  // to know. A name that was known is asked for with the patience of one try, and while upstream is
  // silent it means what it meant last. kNotFound when there is none.
  void find(const std::string& name, Done done);

  using Clock = std::chrono::steady_clock;
  // A catalogue was read, beginning at `asked`: it says of every name it has which image it is.
  void catalogued(const std::vector<CatalogueEntry>& entries, Clock::time_point asked);
  std::vector<NamedImage> all() const;  // of the last catalogue, sorted by name

 private:
  struct Known {
    std::optional<ImageId> id;  // nullopt: upstream has none of that name
    Clock::time_point heard;
    bool catalogued = false;  // the last catalogue has it
  };
  bool believed(const Known& known) const;  // with mutex_ held
  void ask(const std::string& name, Patience patience);
  Result<ImageId> answered(const std::string& name, const Result<CatalogueEntry>& said);

  const StoreConfig& config_;
  ImageNames* const upstream_;
  WorkerPool& patient_;
  WorkerPool& brief_;
  const Gone gone_;
  const std::stop_token stop_;
  mutable std::mutex mutex_;
  std::map<std::string, Known> known_;
  std::map<std::string, std::vector<Done>> waiting_;
  Clock::time_point silent_until_{};
};

}  // namespace imgcachefs
