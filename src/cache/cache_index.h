// What is remembered of cached images beside their bytes: hits, last access, pin, checksum.
//
// The directory is the truth and the index a convenience: it ranks images for eviction and fills in
// attributes, and never proves presence. Rows without file and files without row are tolerated at
// any time and mended by repair(). How the index of a directory is chosen: index_driver.h.
// Thread-safe; every call is one short write transaction, or several that follow one another
// (milliseconds each: Glance's own tools wait 2 s at most for the database). All implementations
// pass tests/contract/cache_index_contract.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "base/units.h"
#include "cache/cache_layout.h"
#include "fetch/upstream.h"

namespace imgcachefs {

struct IndexRecord {
  ImageId id;
  uint64_t size = 0;
  uint64_t hits = 0;
  WallTime last_modified{};  // when it was cached
  WallTime last_accessed{};
  // Ours beside Glance's:
  std::optional<Digest> checksum;  // what was published for it
  bool verified = false;           // its bytes had that checksum when it was cached
  Validator validator;             // upstream's, of the version that is cached
  bool pinned = false;
};

struct AccessCount {
  ImageId id;
  uint64_t hits = 0;  // to be added
  WallTime last_accessed{};
};

class CacheIndex {
 public:
  virtual ~CacheIndex() = default;

  virtual Result<std::optional<IndexRecord>> find(const ImageId& id) = 0;
  // Shows every row, in no order, until `see` fails; what comes and goes meanwhile may be shown or
  // not. Nothing is locked while `see` runs, which may call the index.
  virtual Status each(const std::function<Status(IndexRecord)>& see) = 0;
  Result<std::vector<IndexRecord>> all();  // ordered by ID, as Glance's get_cached_images

  // Before an image becomes cached: what has to be on its file (`fd`, still under its old name)
  // from the first moment on, so that nobody ever finds a cached file without it. put() follows
  // when the file has its name. A failure here is no reason not to go on.
  virtual Status stage(int fd, const IndexRecord& record) = 0;
  // Inserts, or replaces all of an old row but the pin. A driver that keeps its rows on the files
  // says kNotFound when there is no file.
  virtual Status put(const IndexRecord& record) = 0;
  // Rows that another driver has kept: they replace what is here, pins too. One transaction. What
  // has no file is passed over.
  virtual Status take_over(const std::vector<IndexRecord>& records) = 0;
  // One transaction; none there is no error. The pins go too.
  virtual Status remove(const std::vector<ImageId>& ids) = 0;
  Status remove(const ImageId& id) { return remove(std::vector{id}); }
  virtual Status add_accesses(
      const std::vector<AccessCount>& counts) = 0;  // one transaction; unknown IDs skipped
  virtual Status set_pinned(const ImageId& id, bool pinned) = 0;  // kNotFound without a row

  // Rows without file go; files without row get one: size and times from the file, hits from its
  // user.hits, else 0. `cached` shows all files that are cached, once, as CacheLayout::each() does.
  // Many short transactions; what is cached or removed meanwhile is left as it is.
  using CachedFiles = std::function<Status(const std::function<Status(StoredFile)>& see)>;
  virtual Status repair(const CachedFiles& cached) = 0;
  Status repair(const CacheLayout& layout);  // with what lies there

  // The SOURCE this directory belongs to (DESIGN 2.5), nullopt in a directory that Glance made.
  virtual Result<std::optional<std::string>> source() = 0;
  virtual Status set_source(const std::string& source) = 0;

  virtual std::string driver() const = 0;  // "sqlite", "xattr"
};

}  // namespace imgcachefs
