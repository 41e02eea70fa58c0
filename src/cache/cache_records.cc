#include "cache/cache_records.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/log.h"

namespace imgcachefs {

Status CacheRecords::take_stock(const CacheIndex::CachedFiles& cached,
                                const std::stop_token& stop) {
  uint32_t round;
  {
    std::lock_guard lock(mutex_);
    round = ++round_;
  }
  Status taken = index_.repair(cached);
  if (taken)
    taken = index_.each([&](const IndexRecord& record) -> Status {
      if (stop.stop_requested()) return fail(ErrorKind::kCancelled, "the cache is being unmounted");
      std::lock_guard lock(mutex_);
      // Who wrote it since this look began knows it better than the row that was read before.
      const auto at = records_.find(record.id);
      if (at == records_.end() || at->second.round < round) keep(record);
      return {};
    });
  if (taken) {
    std::lock_guard lock(mutex_);
    std::erase_if(records_, [&](const auto& kept) { return kept.second.round < round; });
  }
  wait_no_more();  // after a failure neither
  return taken;
}

void CacheRecords::wait_no_more() {
  std::lock_guard lock(mutex_);
  has_stock_ = true;
  stock_taken_.notify_all();
}

void CacheRecords::wait_for_stock() {
  std::unique_lock lock(mutex_);
  stock_taken_.wait(lock, [this] { return has_stock_; });
}

void CacheRecords::flush() {
  std::vector<AccessCount> counts;
  {
    std::lock_guard lock(mutex_);
    // Hits of an image that has no row yet would be lost.
    if (pending_.empty() || !has_stock_) return;
    counts.reserve(pending_.size());
    for (auto& [id, count] : pending_) counts.push_back(std::move(count));
    pending_.clear();
    // What is written now is part of the records.
    for (const AccessCount& count : counts)
      if (auto at = records_.find(count.id); at != records_.end()) {
        KnownRecord& record = at->second.record;
        record.hits += count.hits;
        record.last_accessed = std::max(record.last_accessed, count.last_accessed);
      }
  }
  auto written = index_.add_accesses(counts);
  if (written) return;
  spdlog::warn("hits of {} images could not be written, they are kept for the next time: {}",
               counts.size(), written.error().message);
  std::lock_guard lock(mutex_);
  for (const AccessCount& count : counts) {
    if (auto at = records_.find(count.id); at != records_.end())
      at->second.record.hits -= count.hits;
    AccessCount& again = pending_.try_emplace(count.id, AccessCount{count.id}).first->second;
    again.hits += count.hits;
    again.last_accessed = std::max(again.last_accessed, count.last_accessed);
  }
}

template <typename Record>
void CacheRecords::add_pending(const ImageId& id, Record& record) const {
  auto at = pending_.find(id);
  if (at == pending_.end()) return;
  record.hits += at->second.hits;
  record.last_accessed = std::max(record.last_accessed, at->second.last_accessed);
}

void CacheRecords::keep(const IndexRecord& record) {
  records_.insert_or_assign(record.id, Kept{{record.size, record.hits, record.last_modified,
                                             record.last_accessed, record.verified, record.pinned},
                                            round_});
}

std::optional<KnownRecord> CacheRecords::find(const ImageId& id) {
  {
    std::lock_guard lock(mutex_);
    if (auto at = records_.find(id); at != records_.end()) {
      KnownRecord record = at->second.record;
      add_pending(id, record);
      return record;
    }
  }
  const auto row = find_fresh(id);
  if (!row) return std::nullopt;
  return KnownRecord{row->size,          row->hits,     row->last_modified,
                     row->last_accessed, row->verified, row->pinned};
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
  keep(**found);
  add_pending(id, **found);
  return std::move(**found);
}

void CacheRecords::hit(const ImageId& id) {
  const auto now = std::chrono::system_clock::now();
  std::lock_guard lock(mutex_);
  AccessCount& count = pending_.try_emplace(id, AccessCount{id}).first->second;
  ++count.hits;
  count.last_accessed = now;
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
  keep(record);
}

Result<std::optional<IndexRecord>> CacheRecords::find_row(const ImageId& id) {
  auto found = index_.find(id);
  if (!found || *found) return found;
  wait_for_stock();
  return index_.find(id);
}

// From the index as it is now: others count hits in it and pin. The hits that are still to be
// written are added to it later.
template <typename Change>
void CacheRecords::change(const ImageId& id, Change change) {
  auto found = find_row(id);
  if (found && !*found) return;
  Status written = found ? Status{} : fail(found.error());
  if (written) {
    change(**found);
    written = index_.put(**found);
  }
  if (!written) spdlog::warn("{}: not written to the index: {}", id.str(), written.error().message);
  if (!found) return;
  std::lock_guard lock(mutex_);
  keep(**found);  // known here though it could not be written
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
  forget(id);
}

void CacheRecords::forget(const ImageId& id) {
  std::lock_guard lock(mutex_);
  records_.erase(id);
  pending_.erase(id);
}

std::vector<LastUse> CacheRecords::least_recently_used(size_t most) const {
  std::vector<std::pair<WallTime, const ImageId*>> all;
  std::vector<LastUse> first;
  std::lock_guard lock(mutex_);
  all.reserve(records_.size());
  for (const auto& [id, kept] : records_) {
    if (kept.record.pinned) continue;
    WallTime used = kept.record.last_accessed;
    if (auto at = pending_.find(id); at != pending_.end())
      used = std::max(used, at->second.last_accessed);
    all.emplace_back(used, &id);
  }
  const auto before = [](const auto& a, const auto& b) {
    return std::tie(a.first, *a.second) < std::tie(b.first, *b.second);
  };
  const auto end = all.begin() + static_cast<ptrdiff_t>(std::min(most, all.size()));
  std::partial_sort(all.begin(), end, all.end(), before);
  for (auto at = all.begin(); at != end; ++at) first.push_back({*at->second, at->first});
  return first;
}

size_t CacheRecords::size() const {
  std::lock_guard lock(mutex_);
  return records_.size();
}

size_t CacheRecords::pinned() const {
  std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::count_if(records_.begin(), records_.end(), [](const auto& kept) {
    return kept.second.record.pinned;
  }));
}

}  // namespace imgcachefs
