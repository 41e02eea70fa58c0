// The index in memory, with hits and access times written behind.
//
// Opening a cached image touches no database: the record is found here, and the hit is added to the
// index by the next flush(). Other programs change the index too (Glance, imgcachectl): refresh()
// takes their changes in. Thread-safe; mutex_ protects the maps and is not held while the index is
// asked.
#pragma once

#include <mutex>
#include <optional>
#include <unordered_map>

#include "cache/cache_index.h"

namespace imgcachefs {

class CacheRecords {
 public:
  explicit CacheRecords(CacheIndex& index) : index_(index) {}

  Status refresh();  // reads the whole index
  void flush();      // writes what is behind; a failure is logged and tried again by the next

  // With the hits that are still to be written. Asks the index once for an image it does not know.
  std::optional<IndexRecord> find(const ImageId& id);
  std::optional<IndexRecord> find_fresh(const ImageId& id);  // always asks it
  void hit(const ImageId& id);                               // one more, and accessed now
  void stage(int fd, const IndexRecord& record);             // CacheIndex::stage
  void put(const IndexRecord& record);
  void set_validator(const ImageId& id, const Validator& validator);  // of a version that had none
  void set_verified(const ImageId& id, const Digest& checksum);       // its bytes on disk have it
  void remove(const ImageId& id);
  size_t size() const;

 private:
  template <typename Change>
  void change(const ImageId& id, Change change);
  void add_pending(IndexRecord& record) const;  // with mutex_ held

  CacheIndex& index_;
  mutable std::mutex mutex_;
  std::unordered_map<ImageId, IndexRecord> records_;
  std::unordered_map<ImageId, AccessCount> pending_;
};

}  // namespace imgcachefs
