#include "cache/index_driver.h"

#include <algorithm>

#include "base/log.h"
#include "cache/glance_attributes.h"
#include "cache/sqlite_database.h"
#include "cache/sqlite_index.h"
#include "cache/xattr_index.h"

namespace imgcachefs {
namespace {

constexpr const char* kDatabase = "cache.db";

bool has_database(const CacheLayout& layout) {
  return posix::stat_at(layout.dir(Place::kCached), kDatabase).has_value();
}

// Both drivers know the image: `from` is about to be taken over, `into` has `old`. Who counted more
// was asked last; what is ours comes from `from` unless that was never a driver of ours.
IndexRecord merged(const IndexRecord& from, const IndexRecord& old, bool from_is_ours) {
  IndexRecord record = from_is_ours ? from : old;
  record.size = from.size;
  record.hits = std::max(from.hits, old.hits);
  record.last_modified = from.last_modified;
  record.last_accessed =
      from.hits >= old.hits ? from.last_accessed : std::max(from.last_accessed, old.last_accessed);
  return record;
}

// All that `from` knows, into `into`, its source last: an index without one has not taken over.
Status take_over(CacheIndex& from, CacheIndex& into) {
  auto records = from.all();
  if (!records) return fail(records.error());
  auto source = from.source();
  if (!source) return fail(source.error());
  for (IndexRecord& record : *records) {
    auto old = into.find(record.id);
    if (old && *old) record = merged(record, **old, source->has_value());
  }
  if (auto done = into.take_over(*records); !done) return done;
  return *source ? into.set_source(**source) : Status();
}

// Before the xattr driver is used in a directory that has a cache.db.
Status replace_database(const CacheLayout& layout, CacheIndex& attributes) {
  if (!has_database(layout)) return {};
  {
    auto database = open_sqlite_index(layout, false);
    if (!database && database.error().kind == ErrorKind::kBusy) return fail(database.error());
    if (!database) {
      spdlog::warn("driver=xattr: nothing can be taken over: {}", database.error().message);
    } else if (auto done = take_over(**database, attributes); !done) {
      return done;
    }
  }
  auto aside = set_database_aside(layout, "replaced");
  if (!aside) return fail(aside.error());
  spdlog::info(
      "{}: driver=xattr: what cache.db knew is in extended attributes now; it is kept as "
      "invalid/{}",
      layout.path(), *aside);
  return {};
}

// After a cache.db was begun, or one of Glance's was taken up, in a directory that may have had the
// xattr driver.
void adopt_attributes(const CacheLayout& layout, CacheIndex& database) {
  auto source = database.source();
  if (!source || *source) return;  // it was ours before
  auto attributes = open_xattr_index(layout);
  auto had = attributes ? (*attributes)->source() : fail(attributes.error());
  if (!had || !*had) return;  // nor had that driver: hits alone are adopted by repair()
  if (auto done = take_over(**attributes, database); !done)
    return spdlog::warn("{}: what the extended attributes know could not be taken over: {}",
                        layout.path(), done.error().message);
  spdlog::info("{}: driver=sqlite: what extended attributes knew is in cache.db now",
               layout.path());
}

// kInvalid, kBusy, kIo say why it cannot be had.
Result<std::unique_ptr<CacheIndex>> open_attributes(const CacheLayout& layout) {
  if (auto taken = takes_attributes(layout); !taken) return fail(taken.error());
  auto index = open_xattr_index(layout);
  if (!index) return index;
  if (auto replaced = replace_database(layout, **index); !replaced) return fail(replaced.error());
  return index;
}

std::string why_not(const std::string& driver) {
  if (driver == "centralized_db")
    return "its rows are in Glance's own database; a directory can be shared with Glance only with "
           "sqlite or xattr";
  return "there is no such driver (there are sqlite and xattr)";
}

bool has_hits(const CacheLayout& layout) {
  auto names = layout.names(Place::kCached);
  return names && std::any_of(names->begin(), names->end(), [&](const ImageId& id) {
           auto fd = posix::open_unnoticed_at(layout.dir(Place::kCached), id.str(),
                                              O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
           auto hits = fd ? read_hits(fd->get()) : fail(fd.error());
           return hits && *hits;
         });
}

}  // namespace

Result<std::unique_ptr<CacheIndex>> open_index(const CacheLayout& layout,
                                               const std::string& driver) {
  if (driver == "xattr") {
    auto index = open_attributes(layout);
    if (index) return index;
    spdlog::warn("driver=xattr cannot be used: {}; using sqlite", index.error().message);
  } else if (driver != "sqlite") {
    spdlog::warn("driver={}: {}; using sqlite", driver, why_not(driver));
  }
  auto index = open_sqlite_index(layout, true);
  if (index) adopt_attributes(layout, **index);
  return index;
}

Result<std::unique_ptr<CacheIndex>> open_existing_index(const CacheLayout& layout) {
  if (has_database(layout)) return open_sqlite_index(layout, false);
  auto index = open_xattr_index(layout);
  if (!index) return index;
  auto source = (*index)->source();
  if ((source && *source) || has_hits(layout)) return index;
  return fail(ErrorKind::kNotFound, layout.path() + ": it has no index");
}

}  // namespace imgcachefs
