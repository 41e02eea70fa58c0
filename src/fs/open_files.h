// What the kernel holds open: its file handles are pointers to these.
//
// The kernel asks for the release of a handle after the last reply that concerned it, so a handle
// in a request is valid without a lock. What was never released, because the connection was cut,
// goes with the table.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "cache/image.h"

namespace imgcachefs {

struct OpenImage {
  std::shared_ptr<Image> image;
  uint64_t size = 0;  // of the image
  std::unique_ptr<ImageHandle> handle;
};

struct OpenPage {
  std::string text;  // as it was when it was opened
};

struct DirectoryEntry {
  std::string name;
  uint64_t inode;
  mode_t mode;  // its type only
};

struct OpenDirectory {
  std::vector<DirectoryEntry> entries;  // as they were when it was opened, "." and ".." included
};

using OpenFile = std::variant<OpenImage, OpenPage, OpenDirectory>;

class OpenFiles {
 public:
  uint64_t add(OpenFile file) {
    auto owned = std::make_unique<OpenFile>(std::move(file));
    const uint64_t handle = reinterpret_cast<uint64_t>(owned.get());
    std::lock_guard lock(mutex_);
    files_.emplace(handle, std::move(owned));
    return handle;
  }

  void remove(uint64_t handle) {
    decltype(files_)::node_type closed;  // before the lock, so destroyed after it
    std::lock_guard lock(mutex_);
    closed = files_.extract(handle);
  }

  static OpenFile& get(uint64_t handle) { return *reinterpret_cast<OpenFile*>(handle); }

 private:
  std::mutex mutex_;  // protects files_
  std::unordered_map<uint64_t, std::unique_ptr<OpenFile>> files_;
};

}  // namespace imgcachefs
