#include "cache/cache_index.h"

#include <algorithm>

namespace imgcachefs {

Result<std::vector<IndexRecord>> CacheIndex::all() {
  std::vector<IndexRecord> records;
  auto shown = each([&](IndexRecord record) -> Status {
    records.push_back(std::move(record));
    return {};
  });
  if (!shown) return fail(shown.error());
  std::sort(records.begin(), records.end(),
            [](const IndexRecord& a, const IndexRecord& b) { return a.id < b.id; });
  return records;
}

Status CacheIndex::repair(const CacheLayout& layout) {
  return repair([&](const auto& see) { return layout.each(Place::kCached, see); });
}

}  // namespace imgcachefs
