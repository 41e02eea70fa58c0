// What the kernel holds open: its file handles are pointers to these.
//
// The kernel asks for the release of a handle after the last reply that concerned it, so a handle
// in a request that is not replied to is valid without a lock. Whoever goes on using the open file
// when the reply may be out (an interrupt makes one at any time) holds a reference of his own. What
// was never released, because the connection was cut, goes with the table.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "cache/image.h"
#include "cache/name_list.h"
#include "fs/backing_files.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace imgcachefs {

struct OpenImage {
  std::shared_ptr<Image> image;
  uint64_t size = 0;  // of the image
  std::unique_ptr<ImageHandle> handle;
  std::unique_ptr<const BackingFile> backing;  // how the kernel reads it
};

struct OpenPage {
  std::shared_ptr<const std::string> text;  // as it was when it was opened; never nullptr
};

struct DirectoryEntry {
  const char* name;  // of the directory, which is not changed while it is used
  uint64_t inode;
  mode_t mode;  // its type only
};

// The entries as they were when it was opened.
class OpenDirectory {
 public:
  uint64_t self = 0, above = 0;  // the inodes of "." and "..", which are not among the entries

  void add(std::string_view name, uint64_t inode, mode_t mode) {
    names_.add(name);
    entries_.push_back({inode, mode});
  }
  void reserve(size_t entries, size_t bytes_of_names) {
    entries_.reserve(entries);
    names_.reserve(entries, bytes_of_names);
  }
  size_t size() const { return entries_.size(); }
  DirectoryEntry operator[](size_t i) const {
    const Entry& entry = entries_[i];
    return {names_[i].data(), entry.inode, entry.mode};
  }

 private:
  struct Entry {
    uint64_t inode;
    mode_t mode;
  };
  std::vector<Entry> entries_;
  NameList names_;  // of the same entries
};

struct OpenFile : std::enable_shared_from_this<OpenFile> {
  using What = std::variant<OpenImage, OpenPage, OpenDirectory>;
  explicit OpenFile(What opened) : what(std::move(opened)) {}
  What what;
};

class OpenFiles {
 public:
  uint64_t add(OpenFile::What what) {
    auto owned = std::make_shared<OpenFile>(std::move(what));
    const uint64_t handle = reinterpret_cast<uint64_t>(owned.get());
    std::lock_guard lock(mutex_);
    files_.emplace(handle, std::move(owned));
    return handle;
  }

  // To be called before a reply that concerns an open file. The order between it and the release is
  // the kernel's doing, which ThreadSanitizer cannot see and is told of here.
  static void before_reply([[maybe_unused]] uint64_t handle) {
#if defined(__SANITIZE_THREAD__)
    __tsan_release(reinterpret_cast<void*>(handle));
#endif
  }

  void remove(uint64_t handle) {
#if defined(__SANITIZE_THREAD__)
    __tsan_acquire(reinterpret_cast<void*>(handle));
#endif
    decltype(files_)::node_type closed;  // before the lock, so destroyed after it
    std::lock_guard lock(mutex_);
    closed = files_.extract(handle);
  }

  static OpenFile& get(uint64_t handle) {
    return *reinterpret_cast<OpenFile*>(handle);
  }

 private:
  std::mutex mutex_;  // protects files_
  std::unordered_map<uint64_t, std::shared_ptr<OpenFile>> files_;
};

}  // namespace imgcachefs
