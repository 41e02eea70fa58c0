// The kernel's node ids: which image each stands for, and how many look-ups the kernel still holds.
//
// A node id is made of the image's serial, so it is never used twice and the page cache behind it
// is of one version of the image only. Thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <unordered_map>

#include "cache/image.h"

namespace imgcachefs {

namespace node {
constexpr uint64_t kRoot = 1;     // as FUSE has it
constexpr uint64_t kControl = 2;  // .imgcachefs/
constexpr uint64_t kMetrics = 3;
constexpr uint64_t kStatus = 4;
constexpr uint64_t kFirstImage = 16;

constexpr uint64_t of_serial(uint64_t serial) {
  return kFirstImage + serial;
}
}  // namespace node

class NodeTable {
 public:
  // Counts one look-up of the kernel and returns the node id it is to be told.
  uint64_t add(const std::shared_ptr<Image>& image);

  // The kernel forgets `count` look-ups; the image is let go with the last. Reserved and unknown
  // ids are no error.
  void forget(uint64_t node, uint64_t count);

  std::shared_ptr<Image> find(uint64_t node) const;  // nullptr when there is none
  size_t size() const;

 private:
  struct Entry {
    std::shared_ptr<Image> image;
    uint64_t lookups = 0;
  };

  mutable std::shared_mutex mutex_;  // protects entries_; an image is never destroyed under it
  std::unordered_map<uint64_t, Entry> entries_;
};

}  // namespace imgcachefs
