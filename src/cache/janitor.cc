#include "cache/janitor.h"

#include <algorithm>
#include <unordered_set>

#include "base/log.h"
#include "cache/chunk_map_file.h"
#include "cache/unfinished.h"

namespace imgcachefs {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFlushInterval{2000};
// After a count of the directory that fills got into.
constexpr std::chrono::seconds kCountAgain{10};

// In the order in which a file can wander while they are counted: it may be met twice, but not be
// missed. (A commit passes through maps/.)
constexpr Place kCountedPlaces[] = {Place::kIncomplete, Place::kMaps, Place::kInvalid,
                                    Place::kCached};

}  // namespace

void Janitor::start() {
  recount();
  // The first round tidies, before there is anything to fill.
  thread_ = std::make_unique<PeriodicTask>("janitor", kFlushInterval, [this] { round(); });
  thread_->poke();
}

void Janitor::stop() {
  if (thread_) thread_->stop();
}

// What a fill has brought into a file of that place. While the kernel writes pages back, a file
// says for moments that it takes less than that.
uint64_t Janitor::filled_bytes(Place place, const ImageId& id) const {
  if (place != Place::kIncomplete && place != Place::kMaps) return 0;
  auto image = table_.remote(id);
  auto fill = image ? image->fill() : nullptr;
  return fill ? fill->present_bytes() : 0;
}

void Janitor::recount() {
  const uint64_t before = budget_.landed();
  uint64_t on_disk = 0;
  std::unordered_set<ino_t> met;
  for (Place place : kCountedPlaces) {
    auto files = layout_.list(place);
    if (!files) return spdlog::warn("the cache cannot be counted: {}", files.error().message);
    for (const StoredFile& file : *files) {
      if (place == Place::kMaps && ChunkMapFile::is_map(layout_.dir(place), file.id.str()))
        continue;
      if (met.insert(file.st.st_ino).second)
        on_disk += std::max(counted_bytes(place, file.st), filled_bytes(place, file.id));
    }
  }
  if (!budget_.recount(on_disk, before)) count_again_ = true;
}

uint64_t Janitor::make_room(uint64_t bytes) {
  // Others take images away too: Glance, imgcachectl. Then there is room already.
  const uint64_t before = budget_.used();
  recount();
  count_again_ = true;  // in the middle of fills it may be too much
  if (const uint64_t now = budget_.used(); now < before) return before - now;
  records_.flush();  // who was read last must be known to the index
  auto possible = free_space(layout_, &index_, bytes, true);
  if (!possible || possible->bytes < bytes) return 0;
  auto removed = free_space(layout_, &index_, bytes, false);
  if (!removed) {
    spdlog::warn("eviction failed: {}", removed.error().message);
    return 0;
  }
  account(*removed, "room is needed");
  return removed->bytes;
}

void Janitor::account(const Removals& removed, const char* reason) {
  if (removed.files.empty()) return;
  for (const Removed& file : removed.files)
    if (file.place == Place::kCached) records_.remove(file.id);
  budget_.freed(removed.bytes);
  evicted_images_ += removed.files.size();
  evicted_bytes_ += removed.bytes;
  spdlog::info("pruned {} images, {} bytes: {}", removed.files.size(), removed.bytes, reason);
}

// What the store does for itself: counters often, the directory every janitor_interval.
void Janitor::round() {
  records_.flush();
  const auto now = steady_clock::now();
  if (now >= next_tidy_) {
    next_tidy_ = now + config_.janitor_interval;
    tidy();
  } else if (now >= next_count_) {
    next_count_ = steady_clock::time_point::max();
    recount();
  }
  if (count_again_.exchange(false) && next_count_ == steady_clock::time_point::max())
    next_count_ = now + kCountAgain;
}

// Prune and clean, after what Glance and imgcachectl did in the same directory was taken in.
void Janitor::tidy() {
  take_back_all_unfinished(layout_);
  if (auto cached = layout_.list(Place::kCached))
    if (auto repaired = index_.repair(*cached); !repaired)
      spdlog::warn("index: {}", repaired.error().message);
  if (auto refreshed = records_.refresh(); !refreshed)
    spdlog::warn("index: {}", refreshed.error().message);
  auto cleaned = clean(layout_, config_.stall_time, false);
  if (!cleaned) spdlog::warn("clean: {}", cleaned.error().message);
  if (cleaned && !cleaned->files.empty())
    spdlog::info("cleaned {} images, {} bytes: invalid or stalled", cleaned->files.size(),
                 cleaned->bytes);
  recount();
  if (const uint64_t excess = budget_.excess(); excess > 0) {
    auto removed = free_space(layout_, &index_, excess, false);
    if (removed) account(*removed, "the limit is exceeded");
  }
  table_.purge();
}

}  // namespace imgcachefs
