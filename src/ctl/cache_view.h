// The cache imgcachectl works on: the directory, its index when it has one, its mount when one
// knows.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/cache_index.h"
#include "cache/cache_layout.h"
#include "ctl/command_line.h"

namespace imgcachefs {

// An image as it lies in the directory, with what the index knows of it.
struct ImageEntry {
  StoredFile file;
  Place place;
  std::optional<IndexRecord> row;  // of cached images only
};

class CacheView {
 public:
  static Result<CacheView> open(const CommandLine& command);

  const CacheLayout& layout() const { return layout_; }
  CacheIndex* index() const { return index_.get(); }  // nullptr: there is none
  const std::optional<std::string>& mountpoint() const { return mountpoint_; }

  // The images of a place: by ID, those of the queue by time. The directory says which there are.
  Result<std::vector<ImageEntry>> entries(Place place) const;

  // A cached image, else an incomplete one. kNotFound: neither.
  Result<ImageEntry> entry(const ImageId& id) const;

  // Whether a daemon has the directory now.
  bool is_served() const;

 private:
  CacheView(CacheLayout layout) : layout_(std::move(layout)) {}

  CacheLayout layout_;
  std::unique_ptr<CacheIndex> index_;
  std::optional<std::string> mountpoint_;
};

}  // namespace imgcachefs
