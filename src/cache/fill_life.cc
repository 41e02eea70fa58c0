// Fill: its making and its end, its saved map, and how it looks from outside.
#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cache/fill.h"

namespace imgcachefs {

Fill::Fill(FillContext& context, const ImageInfo& info, uint32_t chunk_size,
           std::shared_ptr<Delivered> delivered, std::weak_ptr<FillObserver> observer)
    : context_(context),
      delivered_(std::move(delivered)),
      observer_(std::move(observer)),
      info_(info),
      map_(info.size, chunk_size),
      flow_(std::max(1u, context.config.connections / 2), context.throttle.rate()) {
  delivered_->prepare(map_.count(), map_.chunk_size());
}

std::shared_ptr<Fill> Fill::open(FillContext& context, const ImageInfo& info,
                                 std::shared_ptr<Delivered> delivered,
                                 std::weak_ptr<FillObserver> observer, bool resume) {
  const int maps = context.layout.dir(Place::kMaps);
  const std::string& name = info.id.str();
  // What was delivered of a version is counted in chunks: their size stays as long as it is known.
  const uint32_t fixed = delivered->chunk_size();
  ChunkMapHeader header{fixed ? fixed : chunk_size_for(info.size, context.config.chunk_size),
                        info.size, info.validator};
  std::vector<ChunkChecksum> recorded;
  std::optional<ChunkMapFile> map_file;
  std::shared_ptr<ImageFile> file;
  auto prepared = [&]() -> Status {
    if (info.size > context.budget.max_size())
      return fail(ErrorKind::kNoSpace, fmt::format("{} bytes are more than max_size", info.size));
    if (auto free = ImageFile::check_free(context.layout, info.id, info.size); !free) return free;
    auto saved = ChunkMapFile::load(maps, name);
    // Without a validator nothing says that the bytes of then belong to the image of now.
    bool same = resume && saved && (!fixed || saved->header.chunk_size == fixed) &&
                saved->header.image_size == info.size &&
                saved->header.validator == info.validator && info.validator != Validator{};
    uint64_t freed = 0;
    Result<std::shared_ptr<ImageFile>> opened = fail(ErrorKind::kNotFound, "no map");
    if (same) opened = ImageFile::take_up(context.layout, info.id, info.size);
    if (!opened && opened.error().kind == ErrorKind::kNotFound) {
      same = false;
      opened = ImageFile::begin(context.layout, info.id, info.size, freed);
    }
    context.budget.freed(freed);
    if (!opened) return fail(opened.error());
    file = std::move(*opened);
    if (same) {
      header = saved->header;
      recorded = std::move(saved->present);
      map_file = std::move(saved->file);
      spdlog::info("{}: taking up its fill: {} of {} chunks are here", name, recorded.size(),
                   (info.size + header.chunk_size - 1) / header.chunk_size);
    }
    return {};
  }();
  std::shared_ptr<Fill> fill(
      new Fill(context, info, header.chunk_size, std::move(delivered), std::move(observer)));
  fill->file_ = std::move(file);
  if (!prepared) {
    fill->go_around(prepared.error());
    return fill;
  }
  fill->map_file_ = std::move(map_file);
  fill->take_up(std::move(recorded));
  return fill;
}

// Ends the fill: everybody who waits, and who comes yet, gets `error`. When they have it, the image
// is no longer the current one and its file is where it belongs, so whoever opens it again at once
// begins anew.
void Fill::die(Error error, Disposal disposal) {
  const auto observer = disposal == Disposal::kKeep ? nullptr : observer_.lock();
  if (observer) observer->fill_dying(*this);
  Actions actions;
  uint64_t on_disk = 0;
  {
    std::lock_guard lock(mutex_);
    if (dead_) return;
    dead_ = error;
    last_error_ = error.message;
    background_ = false;
    if (!around_) on_disk = map_.present_bytes();
    reservation_ = SpaceReservation();
    fail_waiters(error, actions);
    settle_wholes(fail(error), actions);
    pass_wanted_.notify_all();
  }
  if (disposal != Disposal::kKeep) {
    {
      std::lock_guard lock(map_mutex_);
      map_closed_ = true;
      map_file_.reset();
    }
    if (file_ && !around()) {
      auto gone =
          disposal == Disposal::kQuarantine ? file_->quarantine(error.message) : file_->discard();
      if (!gone) spdlog::warn("{}: {}", info_.id.str(), gone.error().message);
      // When somebody else removed it, they have seen to the account.
      if (gone && disposal == Disposal::kDiscard) context_.budget.freed(on_disk);
    }
    if (observer) observer->fill_died(*this, error);
  }
  perform(std::move(actions));
  // After the answers: the kernel holds the pages that are being read.
  if (observer) observer->forget_bytes();
}

void Fill::shut_down() {
  die(Error{ErrorKind::kCancelled, fmt::format("{}: the cache is being unmounted", info_.id.str())},
      Disposal::kKeep);
}

void Fill::checkpoint() {
  if (file_) file_->reclaim();
  std::lock_guard map_lock(map_mutex_);
  std::vector<ChunkChecksum> entries;
  {
    std::lock_guard lock(mutex_);
    if (map_closed_ || around_ || !map_.has_unsaved()) return;
    for (uint32_t chunk : map_.take_unsaved()) entries.emplace_back(chunk, map_.checksum(chunk));
  }
  std::sort(entries.begin(), entries.end());
  auto saved = [&]() -> Status {
    if (!map_file_) {
      std::lock_guard names(context_.layout.names_mutex());  // files of images pass through maps/
      auto created = ChunkMapFile::create(context_.layout.dir(Place::kMaps), info_.id.str(),
                                          {map_.chunk_size(), info_.size, info_.validator});
      if (!created) return fail(created.error());
      map_file_ = std::move(*created);
    }
    if (auto ok = posix::sync_data(file_->fd()); !ok) return ok;
    return map_file_->save(entries);
  }();
  // A map that lags behind costs a refetch after a crash and nothing else.
  if (!saved)
    spdlog::warn("{}: its chunk map was not saved: {}", info_.id.str(), saved.error().message);
}

// Nothing of it is of use any more. One that was shut down keeps what it has, and what is being
// written: a reader may have got it. With mutex_ held.
bool Fill::given_up() const {
  return dead_ && dead_->kind != ErrorKind::kCancelled;
}

bool Fill::has_unsaved() const {
  std::lock_guard lock(mutex_);
  return !around_ && !given_up() && !complete_ && map_.has_unsaved();
}

bool Fill::idle() const {
  std::lock_guard lock(mutex_);
  if (given_up() || complete_) return true;
  return background_running_ + demand_running_ + checks_running_ == 0 && !pass_running_ &&
         !hashing_ && (!background_ || around_);  // around, only readers have something fetched
}

void Fill::log_partial() const {
  std::lock_guard lock(mutex_);
  if (fetched_ == 0 || complete_) return;
  const std::chrono::duration<double> took = landed_ - started_;
  spdlog::info("fetched part of {}: {} bytes in {:.2f} s, {} attempts; {} of {} bytes are here{}",
               info_.id.str(), fetched_, std::max(0.0, took.count()), attempts_,
               map_.present_bytes(), info_.size, around_ ? ", served around the cache" : "");
}

uint64_t Fill::present_bytes() const {
  std::lock_guard lock(mutex_);
  if (complete_) return info_.size;
  if (around_) return 0;
  uint64_t bytes = map_.present_bytes();
  for (uint32_t chunk : arriving_) bytes += map_.bytes({chunk, chunk + 1}).size();
  return bytes;
}

double Fill::rate() const {
  std::lock_guard lock(mutex_);
  const bool lately = std::chrono::steady_clock::now() - sampled_ < std::chrono::seconds(3);
  return lately ? rate_ : 0;
}

size_t Fill::waiting() const {
  std::lock_guard lock(mutex_);
  return waiting_.size() + held_.size();
}

std::optional<Digest> Fill::checksum() const {
  std::lock_guard lock(mutex_);
  return expected_;
}

bool Fill::verified() const {
  std::lock_guard lock(mutex_);
  return verified_;
}

bool Fill::around() const {
  std::lock_guard lock(mutex_);
  return around_;
}

bool Fill::fetches_whole() const {
  std::lock_guard lock(mutex_);
  return !around_ && !dead_ && (background_ || map_.complete());
}

std::string Fill::last_error() const {
  std::lock_guard lock(mutex_);
  return last_error_;
}

}  // namespace imgcachefs
