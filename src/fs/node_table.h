// The kernel's node ids: which image or link each stands for, and how many look-ups the kernel
// still holds.
//
// An image's node id is made of its serial, so it is never used twice and the page cache behind it
// is of one version of the image only. A link that leads elsewhere is another link. Thread-safe.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <variant>

#include "cache/image.h"

namespace imgcachefs {

namespace node {
constexpr uint64_t kRoot = 1;     // as FUSE has it
constexpr uint64_t kControl = 2;  // .imgcachefs/
constexpr uint64_t kMetrics = 3;
constexpr uint64_t kStatus = 4;
constexpr uint64_t kByName = 5;  // by-name/
constexpr uint64_t kFirstImage = 16;
constexpr uint64_t kFirstLink = uint64_t{1} << 62;

constexpr uint64_t of_serial(uint64_t serial) {
  return kFirstImage + serial;
}
}  // namespace node

// A symbolic link.
struct Link {
  std::string path;    // in the mount
  std::string target;  // what it says
  auto operator<=>(const Link&) const = default;
};

class NodeTable {
 public:
  // Counts one look-up of the kernel and returns the node id it is to be told.
  uint64_t add(const std::shared_ptr<Image>& image);
  uint64_t add(const Link& link);

  // The kernel forgets `count` look-ups; the image or link is let go with the last. Reserved and
  // unknown ids are no error.
  void forget(uint64_t node, uint64_t count);

  std::shared_ptr<Image> find(uint64_t node) const;    // nullptr when it is no image
  std::optional<Link> find_link(uint64_t node) const;  // nullopt when it is no link
  size_t size() const;

 private:
  struct Entry {
    std::variant<std::shared_ptr<Image>, Link> what;
    uint64_t lookups = 0;
  };

  mutable std::shared_mutex mutex_;  // protects what follows; an image is never destroyed under it
  std::unordered_map<uint64_t, Entry> entries_;
  std::map<Link, uint64_t> links_;
  uint64_t next_link_ = node::kFirstLink;
};

}  // namespace imgcachefs
