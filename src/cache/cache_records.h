// The index in memory, with hits and access times written behind.
//
// Opening a cached image touches no database: what is asked of its record is found here, and the
// hit is added to the index by the next flush(). Other programs change the index too (Glance,
// imgcachectl): take_stock() takes their changes in. Of each image little is kept, for there may be
// a hundred thousand; the rest is read from the index when it is asked for. Thread-safe; mutex_
// protects the maps and is not held while the index is asked.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <unordered_map>
#include <vector>

#include "cache/cache_index.h"
#include "cache/eviction.h"

namespace imgcachefs {

// What a look at an image and its opening ask.
struct KnownRecord {
  uint64_t size = 0;
  uint64_t hits = 0;
  WallTime last_modified{};
  WallTime last_accessed{};
  bool verified = false;
  bool pinned = false;
};

class CacheRecords {
 public:
  explicit CacheRecords(CacheIndex& index) : index_(index) {}

  // Holds the index against the files that are cached, and reads it. Until that was done once, an
  // image is asked of the index when it is asked for here, and may have no row yet. `stop` ends it
  // early, as `cached` does that fails.
  Status take_stock(const CacheIndex::CachedFiles& cached, const std::stop_token& stop);
  void flush();  // writes what is behind; a failure is logged and tried again by the next

  // With the hits that are still to be written. Asks the index once for an image it does not know.
  std::optional<KnownRecord> find(const ImageId& id);
  std::optional<IndexRecord> find_fresh(const ImageId& id);  // always asks it
  void hit(const ImageId& id);                               // one more, and accessed now
  void stage(int fd, const IndexRecord& record);             // CacheIndex::stage
  void put(const IndexRecord& record);
  // Of an image that has no row yet these wait for the first take_stock(), which gives it one.
  void set_validator(const ImageId& id, const Validator& validator);  // of a version that had none
  void set_verified(const ImageId& id, const Digest& checksum);       // its bytes on disk have it
  void remove(const ImageId& id);
  void forget(const ImageId& id);  // somebody has removed it from the index
  size_t size() const;
  size_t pinned() const;  // of them
  // Those that may be evicted, the least recently used first; of images that take_stock() has seen,
  // or that were cached or asked for since.
  std::vector<LastUse> least_recently_used(size_t most) const;
  void wait_no_more();  // for a first take_stock() that will not come

 private:
  struct Kept {
    KnownRecord record;
    uint32_t round = 0;  // take_stock()s begun when it was met, written or asked for last
  };

  template <typename Change>
  void change(const ImageId& id, Change change);
  Result<std::optional<IndexRecord>> find_row(const ImageId& id);
  void keep(const IndexRecord& record);  // with mutex_ held
  void wait_for_stock();
  template <typename Record>
  void add_pending(const ImageId& id, Record& record) const;  // with mutex_ held

  CacheIndex& index_;
  mutable std::mutex mutex_;
  std::condition_variable stock_taken_;
  std::unordered_map<ImageId, Kept> records_;
  std::unordered_map<ImageId, AccessCount> pending_;
  uint32_t round_ = 0;
  bool has_stock_ = false;
};

}  // namespace imgcachefs
