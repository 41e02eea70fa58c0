// The kernel's node ids: what each stands for, and how many look-ups the kernel still holds.
//
// An image's node id is made of its serial, so it is never used twice and the page cache behind it
// is of one version of the image only. A link that leads elsewhere is another link, a text that
// says something else another text. Thread-safe.
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
constexpr uint64_t kFirstImage = 16;
constexpr uint64_t kFirstNamed = uint64_t{1} << 62;

constexpr uint64_t of_serial(uint64_t serial) {
  return kFirstImage + serial;
}
}  // namespace node

// What is in a mount beside images. `path` is relative to the mount.
struct Directory {
  std::string path;  // "" is the mount itself
  auto operator<=>(const Directory&) const = default;
};

struct Link {
  std::string path;
  std::string target;  // what it says
  auto operator<=>(const Link&) const = default;
};

// The text may be megabytes long, and is there once for all who have it.
struct TextFile {
  std::string path;
  std::shared_ptr<const std::string> text;  // never nullptr
  std::strong_ordering operator<=>(const TextFile& other) const {
    if (const auto by_path = path <=> other.path; by_path != 0) return by_path;
    return text == other.text ? std::strong_ordering::equal : *text <=> *other.text;
  }
  bool operator==(const TextFile& other) const { return (*this <=> other) == 0; }
};

using NamedNode = std::variant<Directory, Link, TextFile>;

// What a name in a mount stands for.
using Found = std::variant<std::shared_ptr<Image>, NamedNode>;

class NodeTable {
 public:
  // Counts one look-up of the kernel and returns the node id it is to be told.
  uint64_t add(const Found& found);

  // The kernel forgets `count` look-ups; what it stands for is let go with the last. Reserved and
  // unknown ids are no error.
  void forget(uint64_t node, uint64_t count);

  std::optional<Found> find(uint64_t node) const;          // the mount itself included
  std::shared_ptr<Image> find_image(uint64_t node) const;  // nullptr when it is no image
  // nullopt when it is none of that kind.
  template <typename Kind>
  std::optional<Kind> find_named(uint64_t node) const {
    const auto found = find(node);
    const auto* named = found ? std::get_if<NamedNode>(&*found) : nullptr;
    const auto* kind = named ? std::get_if<Kind>(named) : nullptr;
    return kind ? std::optional(*kind) : std::nullopt;
  }
  size_t size() const;

 private:
  template <typename What>
  struct Entry {
    What what;
    uint64_t lookups = 0;
  };
  // Nodes of images apart from the others, which take more room: there may be a hundred thousand.
  template <typename What>
  using Nodes = std::unordered_map<uint64_t, Entry<What>>;

  // The kernel forgets `count` look-ups of one of these; the node, when those were the last.
  template <typename What>
  static typename Nodes<What>::node_type take(Nodes<What>& from, uint64_t node, uint64_t count);

  mutable std::shared_mutex mutex_;  // protects what follows; an image is never destroyed under it
  Nodes<std::shared_ptr<Image>> images_;
  Nodes<NamedNode> named_;
  std::map<NamedNode, uint64_t> ids_of_named_;
  uint64_t next_named_ = node::kFirstNamed;
};

}  // namespace imgcachefs
