#include "cache/cache_records.h"

#include <algorithm>

#include "base/log.h"

namespace imgcachefs {

Status CacheRecords::refresh() {
  auto all = index_.all();
  if (!all) return fail(all.error());
  std::unordered_map<ImageId, IndexRecord> fresh;
  fresh.reserve(all->size());
  for (IndexRecord& record : *all) {
    ImageId id = record.id;
    fresh.emplace(std::move(id), std::move(record));
  }
  std::lock_guard lock(mutex_);
  records_ = std::move(fresh);
  return {};
}

void CacheRecords::flush() {
  std::vector<AccessCount> counts;
  {
    std::lock_guard lock(mutex_);
    for (auto& [id, count] : pending_) counts.push_back(count);
    pending_.clear();
    // What is written now is part of the records.
    for (const AccessCount& count : counts)
      if (auto at = records_.find(count.id); at != records_.end()) {
        at->second.hits += count.hits;
        at->second.last_accessed = std::max(at->second.last_accessed, count.last_accessed);
      }
  }
  if (counts.empty()) return;
  auto written = index_.add_accesses(counts);
  if (written) return;
  spdlog::warn("hits of {} images could not be written, they are kept for the next time: {}",
               counts.size(), written.error().message);
  std::lock_guard lock(mutex_);
  for (const AccessCount& count : counts) {
    if (auto at = records_.find(count.id); at != records_.end()) at->second.hits -= count.hits;
    AccessCount& again = pending_.try_emplace(count.id, AccessCount{count.id}).first->second;
    again.hits += count.hits;
    again.last_accessed = std::max(again.last_accessed, count.last_accessed);
  }
}

void CacheRecords::add_pending(IndexRecord& record) const {
  auto at = pending_.find(record.id);
  if (at == pending_.end()) return;
  record.hits += at->second.hits;
  record.last_accessed = std::max(record.last_accessed, at->second.last_accessed);
}

std::optional<IndexRecord> CacheRecords::find(const ImageId& id) {
  {
    std::lock_guard lock(mutex_);
    if (auto at = records_.find(id); at != records_.end()) {
      IndexRecord record = at->second;
      add_pending(record);
      return record;
    }
  }
  return find_fresh(id);
}

std::optional<IndexRecord> CacheRecords::find_fresh(const ImageId& id) {
  auto found = index_.find(id);
  if (!found) {
    spdlog::warn("{}: the index does not answer: {}", id.str(), found.error().message);
    return std::nullopt;
  }
  std::lock_guard lock(mutex_);
  if (!*found) {
    records_.erase(id);
    return std::nullopt;
  }
  IndexRecord record = **found;
  records_.insert_or_assign(id, record);
  add_pending(record);
  return record;
}

void CacheRecords::hit(const ImageId& id) {
  std::lock_guard lock(mutex_);
  AccessCount& count = pending_.try_emplace(id, AccessCount{id}).first->second;
  ++count.hits;
  count.last_accessed = std::chrono::system_clock::now();
}

void CacheRecords::stage(int fd, const IndexRecord& record) {
  if (auto staged = index_.stage(fd, record); !staged)
    spdlog::warn("{}: it will be cached without its attributes: {}", record.id.str(),
                 staged.error().message);
}

void CacheRecords::put(const IndexRecord& record) {
  // The file is there whatever the index says: without its row it is only the first to be evicted.
  if (auto written = index_.put(record); !written)
    spdlog::warn("{}: not written to the index: {}", record.id.str(), written.error().message);
  std::lock_guard lock(mutex_);
  records_.insert_or_assign(record.id, record);
}

// From the index as it is now: others count hits in it and pin. The hits that are still to be
// written are added to it later.
template <typename Change>
void CacheRecords::change(const ImageId& id, Change change) {
  auto found = index_.find(id);
  if (found && !*found) return;
  Status written = found ? Status{} : fail(found.error());
  if (written) {
    change(**found);
    written = index_.put(**found);
  }
  if (!written) spdlog::warn("{}: not written to the index: {}", id.str(), written.error().message);
  std::lock_guard lock(mutex_);
  if (auto at = records_.find(id); at != records_.end()) change(at->second);
}

void CacheRecords::set_validator(const ImageId& id, const Validator& validator) {
  change(id, [&](IndexRecord& record) { record.validator = validator; });
}

void CacheRecords::set_verified(const ImageId& id, const Digest& checksum) {
  change(id, [&](IndexRecord& record) {
    record.checksum = checksum;
    record.verified = true;
  });
}

void CacheRecords::remove(const ImageId& id) {
  if (auto removed = index_.remove(id); !removed)
    spdlog::warn("{}: not removed from the index: {}", id.str(), removed.error().message);
  std::lock_guard lock(mutex_);
  records_.erase(id);
  pending_.erase(id);
}

size_t CacheRecords::size() const {
  std::lock_guard lock(mutex_);
  return records_.size();
}

}  // namespace imgcachefs
