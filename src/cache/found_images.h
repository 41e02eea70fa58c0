// FoundImages: which images were found in which of upstream's repositories, apart by whether they
// are cached, as far as is known: a file may have gone since. Of what is not cached that is all
// that is known, and of too many those are forgotten that were found first.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cache/name_list.h"
#include "fetch/image_id.h"

namespace imgcachefs {

// Thread-safe; mutex_ is a leaf.
class FoundImages {
 public:
  using ImageIn = std::pair<std::string, ImageId>;  // a repository, an image
  using Names = std::vector<std::string>;

  explicit FoundImages(size_t most_uncached = 100'000) : most_uncached_(most_uncached) {}

  void add(const ImageIn& found, bool cached);
  bool remove(const ImageIn& lost);  // false: it was not known
  std::vector<ImageId> remove_all(const std::string& repository);

  Names repositories_of(const ImageId& id) const;
  void is_cached_now(const ImageId& id);         // wherever it was found
  void is_not_cached_now(const ImageIn& found);  // its file is not there

  bool is_cached(const ImageIn& found) const;
  NameList cached_in(const std::string& repository) const;                  // of images, sorted
  std::optional<ImageIn> some_cached_below(const std::string& path) const;  // or there
  // The names in directory `path` ("" is the topmost) that lead to something cached, sorted.
  Names names_below(const std::string& path) const;
  std::vector<ImageIn> all_cached() const;
  size_t count_cached() const;

 private:
  using ByRepository = std::map<std::string, std::set<ImageId>>;

  // With mutex_ held.
  static bool take(ByRepository& from, const ImageIn& image);
  void add_uncached(const ImageIn& found);

  const size_t most_uncached_;
  mutable std::mutex mutex_;  // protects what follows
  ByRepository cached_, uncached_;
  size_t cached_count_ = 0;
  std::deque<ImageIn> uncached_in_order_;  // as they were found; some are not uncached any more
};

// Whether a repository is the one at `path`, or below that directory.
bool is_or_lies_below(const std::string& repository, const std::string& path);
// The name in directory `path` that leads to a repository below it; "": none does.
std::string next_component(const std::string& repository, const std::string& path);

}  // namespace imgcachefs
