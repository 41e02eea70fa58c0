#include "cache/janitor.h"

#include <malloc.h>

#include <algorithm>

#include "base/log.h"
#include "cache/chunk_map_file.h"
#include "cache/unfinished.h"

namespace imgcachefs {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFlushInterval{2000};
// After a count of the directory that fills got into.
constexpr std::chrono::seconds kCountAgain{10};

// In the order in which a file can wander while they are counted, at last to where it is cached: it
// may be met twice, but not be missed. (A commit passes through maps/.)
constexpr Place kWandering[] = {Place::kIncomplete, Place::kMaps, Place::kInvalid};

constexpr int kRestPerWork = 19;
constexpr size_t kRemembered = 1000;  // images, of those that go first
constexpr std::chrono::seconds kClockSlack{2};

}  // namespace

template <typename Do>
auto Janitor::Sparing::run(Do act) {
  const auto begin = steady_clock::now();
  auto result = act();
  const auto end = steady_clock::now();
  again_ = end + kRestPerWork * (end - begin);
  return result;
}

void Janitor::start() {
  budget_.expect_count();
  // The first round tidies.
  thread_ = std::make_unique<PeriodicTask>("janitor", kFlushInterval, [this] { round(); });
  thread_->poke();
}

void Janitor::stop() {
  if (thread_) thread_->stop();
  // It may have been stopped before its first round.
  budget_.wait_no_more();
  records_.wait_no_more();
}

// What a fill has brought into a file of that place. While the kernel writes pages back, a file
// says for moments that it takes less than that.
uint64_t Janitor::filled_bytes(Place place, const ImageId& id) const {
  if (place != Place::kIncomplete && place != Place::kMaps) return 0;
  auto image = table_.remote(id);
  auto fill = image ? image->fill() : nullptr;
  return fill ? fill->present_bytes() : 0;
}

void Janitor::add(Count& count, Place place, const StoredFile& file) const {
  if (place == Place::kMaps && ChunkMapFile::is_map(layout_.dir(place), file.id.str())) return;
  // Not each of a hundred thousand is kept in mind: from where it is cached none wanders on.
  const bool is_last_place = place == Place::kCached && file.st.st_nlink < 2;
  if (is_last_place ? count.met.contains(file.st.st_ino) : !count.met.insert(file.st.st_ino).second)
    return;
  count.on_disk += std::max(counted_bytes(place, file.st), filled_bytes(place, file.id));
}

// All but what is cached, and before it: see kWandering.
Status Janitor::count_unfinished(Count& count) const {
  count.before = budget_.moved();
  for (Place place : kWandering) {
    auto listed = layout_.each(place, [&](const StoredFile& file) -> Status {
      add(count, place, file);
      return {};
    });
    if (!listed) return listed;
  }
  return {};
}

void Janitor::conclude(const Count& count) {
  if (!budget_.recount(count.on_disk, count.before)) count_again_ = true;
}

void Janitor::recount() {
  Count count;
  Status counted = count_unfinished(count);
  if (counted)
    counted = layout_.each(Place::kCached, [&](const StoredFile& file) -> Status {
      add(count, Place::kCached, file);
      return {};
    });
  if (!counted) return spdlog::warn("the cache cannot be counted: {}", counted.error().message);
  conclude(count);
}

// One walk through the directory, for all that has to look at every image: what others have called
// cached and is not is taken back, the rest is counted and held against the index.
void Janitor::take_stock() {
  Count count;
  bool counted = false;
  const WallTime begin = std::chrono::system_clock::now();
  const auto walk = [&](const std::function<Status(StoredFile)>& see) -> Status {
    if (auto done = count_unfinished(count); !done) return done;
    auto walked = layout_.each(Place::kCached, [&](StoredFile file) -> Status {
      if (stop_.stop_requested())
        return fail(ErrorKind::kCancelled, "the cache is being unmounted");
      // A rename shows in the time of change. Elsewhere: whoever is given an image looks himself.
      const bool is_new = wall_time(file.st.st_ctim) >= looked_through_ - kClockSlack;
      if (is_new && take_back_unfinished(layout_, file.id, file.st)) {
        count_again_ = true;
        return {};
      }
      add(count, Place::kCached, file);
      return see(std::move(file));
    });
    if (!walked) return walked;
    looked_through_ = begin;
    conclude(count);
    counted = true;
    return {};
  };
  auto taken = records_.take_stock(walk, stop_);
  if (stop_.stop_requested()) return;
  if (!taken) spdlog::warn("index: {}", taken.error().message);
  if (!counted) recount();
  budget_.wait_no_more();  // though it could not be counted
}

// What goes first is asked of the records, and that seldom: those that are used after they were
// looked for go later. Only if that is not enough the directory is gone through, with what others
// put there since the last tidying.
Removals Janitor::evict_remembered(uint64_t bytes) {
  for (const bool anew : {false, true}) {
    if (anew) order_ = records_.least_recently_used(kRemembered);
    if (order_.empty()) continue;
    auto removed = free_space(layout_, index_, order_, bytes);
    if (!removed) {
      spdlog::warn("eviction failed: {}", removed.error().message);
      return {};
    }
    if (!removed->files.empty()) return std::move(*removed);
  }
  return {};
}

Removals Janitor::evict_any(uint64_t bytes) {
  auto possible = free_space(layout_, &index_, bytes, true);
  if (!possible || possible->bytes < bytes) return {};
  auto removed = free_space(layout_, &index_, bytes, false);
  if (removed) return std::move(*removed);
  spdlog::warn("eviction failed: {}", removed.error().message);
  return {};
}

uint64_t Janitor::make_room(uint64_t bytes) {
  if (recounting_.due()) {
    // Others take images away too: Glance, imgcachectl. Then there is room already.
    const uint64_t before = budget_.used();
    const uint64_t now = recounting_.run([this] {
      recount();
      return budget_.used();
    });
    if (now < before) return before - now;
  }
  records_.flush();  // who was read last must be known to the index
  Removals removed = evict_remembered(bytes);
  if (removed.files.empty() && searching_.due())
    removed = searching_.run([&] { return evict_any(bytes); });
  evicted(removed, for_room_, "room is needed");
  return removed.bytes;
}

void Janitor::evicted(const Removals& removed, Account& account, const char* reason) {
  pruned_ = std::chrono::system_clock::now();
  if (removed.files.empty()) return;
  for (const Removed& file : removed.files)
    if (file.place == Place::kCached) records_.forget(file.id);
  budget_.freed(removed.bytes);
  account.add(removed);
  spdlog::info("pruned {} images, {} bytes: {}", removed.files.size(), removed.bytes, reason);
}

void Janitor::set_times(std::chrono::seconds stall_time, std::chrono::seconds interval) {
  stall_time_ = stall_time;
  interval_ = interval;
  tidy_now_ = true;
  if (thread_) thread_->poke();
}

std::optional<WallTime> Janitor::pruned() const {
  const WallTime when = pruned_;
  return when == WallTime{} ? std::nullopt : std::optional(when);
}

// What the store does for itself: counters often, the directory every janitor_interval.
void Janitor::round() {
  records_.flush();
  const auto now = steady_clock::now();
  if (tidy_now_.exchange(false) || now >= next_tidy_) {
    next_tidy_ = now + interval_.load();
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
  auto cleaned = clean(layout_, stall_time_, false);
  if (!cleaned) spdlog::warn("clean: {}", cleaned.error().message);
  if (cleaned) cleaned_.add(*cleaned);
  if (cleaned && !cleaned->files.empty())
    spdlog::info("cleaned {} images, {} bytes: invalid or stalled", cleaned->files.size(),
                 cleaned->bytes);
  take_stock();
  if (stop_.stop_requested()) return;
  if (const uint64_t excess = budget_.excess(); excess > 0) {
    auto removed = free_space(layout_, &index_, excess, false);
    if (removed) evicted(*removed, over_limit_, "the limit is exceeded");
  }
  pruned_ = std::chrono::system_clock::now();
  table_.purge();
  // What such a round has used and freed lies in many small pieces.
  ::malloc_trim(0);
}

}  // namespace imgcachefs
