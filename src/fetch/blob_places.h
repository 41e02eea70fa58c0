// In which repositories a blob was seen, or may be: any of them will do to read it.
#pragma once

#include <list>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/digest.h"

namespace imgcachefs {

// Thread-safe. Bounded: of blobs and of repositories of a blob those are forgotten that were not
// heard of for longest.
class BlobPlaces {
 public:
  explicit BlobPlaces(size_t most_blobs = 100'000) : most_blobs_(most_blobs) {}

  void found(const Digest& blob, const std::string& repository);   // it is there
  void hinted(const Digest& blob, const std::string& repository);  // somebody says that it is
  // It is not there. The last one is kept: it may be there again, and nobody else is to be asked.
  void lost(const Digest& blob, const std::string& repository);
  // Those to ask, the one to ask first first.
  std::vector<std::string> of(const Digest& blob) const;

 private:
  static constexpr size_t kMostRepositories = 8;  // of a blob

  struct Known {
    std::vector<std::string> repositories;
    std::list<std::string>::iterator age;  // in by_age_
  };
  void add(const Digest& blob, const std::string& repository, bool first);

  const size_t most_blobs_;
  mutable std::mutex mutex_;                      // protects what follows
  std::unordered_map<std::string, Known> blobs_;  // by their digest, tagged
  std::list<std::string> by_age_;                 // the one heard of last first
};

}  // namespace imgcachefs
