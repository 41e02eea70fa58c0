#include "cache/cached_images.h"

#include <fmt/format.h>

#include "base/log.h"
#include "cache/unfinished.h"

namespace imgcachefs {
namespace {

using std::chrono::steady_clock;

// After upstream did not answer, cached images are served without asking for so long.
constexpr std::chrono::seconds kOutagePause{10};
constexpr unsigned kMostRefreshes = 4;

}  // namespace

std::shared_ptr<CachedImage> CachedImages::find(const ImageId& id) {
  auto st = posix::stat_at(layout_.dir(Place::kCached), id.str());
  if (!st || !S_ISREG(st->st_mode)) return nullptr;
  // Looked at once: what is finished stays so.
  if (!table_.has_cached(id, *st) && was_unfinished(id, *st)) return nullptr;
  return table_.cached(id, *st, [&](uint64_t serial) {
    return std::make_shared<CachedImage>(layout_, records_, id, serial, *st);
  });
}

bool CachedImages::was_unfinished(const ImageId& id, const struct stat& st) const {
  // The fill knows it where the file system keeps no mark.
  if (auto remote = table_.remote(id))
    if (auto fill = remote->fill(); fill && fill->is_filling(st)) {
      fill->reclaim();
      return true;
    }
  return take_back_unfinished(layout_, id, st);
}

bool CachedImages::asks_upstream(const ImageId& id) const {
  return changeable_ && config_.revalidate && !table_.believed(id) &&
         steady_clock::now() >= outage_until_.load();
}

void CachedImages::open(const std::shared_ptr<CachedImage>& image, OpenDone done) {
  if (!asks_upstream(image->id())) return open_file(image, nullptr, done);
  inquiries_.ask(image->id(), Patience::kOneTry,
                 [this, image, done = std::move(done)](const Result<ImageInfo>& said) {
                   if (auto good = heard(*image, said); !good) return done(fail(good.error()));
                   open_file(image, said ? &*said : nullptr, done);
                 });
}

void CachedImages::refresh(const std::shared_ptr<CachedImage>& image) {
  if (!asks_upstream(image->id())) return;
  if (++refreshing_ > kMostRefreshes) {
    --refreshing_;
    return;
  }
  inquiries_.ask(image->id(), Patience::kOneTry, [this, image](const Result<ImageInfo>& said) {
    --refreshing_;
    if (auto good = heard(*image, said); !good)
      spdlog::debug("{}: {}", image->id().str(), good.error().message);
  });
}

Status CachedImages::heard(const CachedImage& image, const Result<ImageInfo>& said) {
  const std::string& name = image.id().str();
  if (said) {
    if (agrees(*said, image)) {
      table_.heard(image.id());
      return {};
    }
    drop(image, Why::kChanged);
    return fail(ErrorKind::kStale, fmt::format("{}: changed upstream", name));
  }
  switch (said.error().kind) {
    case ErrorKind::kNotFound:
      drop(image, Why::kGone);
      table_.refused(image.id(), said.error());
      return fail(said.error());
    case ErrorKind::kDenied:
    case ErrorKind::kCancelled:
      return fail(said.error());
    case ErrorKind::kTimeout:
    case ErrorKind::kUnavailable: {
      // One question may have had many askers, and each hears of it: one line is enough.
      const auto now = steady_clock::now();
      const bool told = outage_until_.exchange(now + kOutagePause) > now;
      spdlog::log(told ? spdlog::level::debug : spdlog::level::warn,
                  "{}: served from the cache without asking upstream: {}", name,
                  said.error().message);
      return {};
    }
    default:
      // Something is odd about this image; about the others upstream can be asked.
      spdlog::warn("{}: served from the cache, upstream's answer makes no sense: {}", name,
                   said.error().message);
      return {};
  }
}

void CachedImages::open_file(const std::shared_ptr<CachedImage>& image, const ImageInfo* said,
                             const OpenDone& done) {
  const bool settled = adopted_.settled(*image);
  auto handle = image->open();
  const bool opened = handle.has_value();
  if (opened) {
    ++hits_;
    records_.hit(image->id());
  } else {
    table_.forget_cached(image->id());
  }
  done(std::move(handle));
  if (opened && !settled) have_verified(image, said);
}

void CachedImages::have_verified(const std::shared_ptr<CachedImage>& image, const ImageInfo* said) {
  const bool outage = steady_clock::now() < outage_until_.load();
  if ((!said && outage) || !adopted_.claim(*image)) return;
  if (said) return adopted_.verify(image, *said);
  // It was asked before, by a look-up; what it said of the checksum was not kept.
  inquiries_.ask(image->id(), Patience::kOneTry, [this, image](const Result<ImageInfo>& answer) {
    if (answer && agrees(*answer, *image)) return adopted_.verify(image, *answer);
    adopted_.release(image->id());
    if (!answer && answer.error().kind != ErrorKind::kNotFound &&
        answer.error().kind != ErrorKind::kDenied)
      outage_until_ = steady_clock::now() + kOutagePause;
  });
}

bool CachedImages::agrees(const ImageInfo& said, const CachedImage& image) {
  if (said.size != image.attr().size) return false;
  auto record = records_.find_fresh(image.id());
  // Of another file that had its name.
  if (record && record->size != said.size) record.reset();
  const Validator known = record ? record->validator : Validator{};
  if (known != Validator{} || said.validator == Validator{})
    return known.same_version(said.validator);
  // Glance put it there, or a crash came between the rename and the row: nothing says which version
  // it is. One that upstream has had since before it was cached is the one it was cached from, and
  // from now on a change can be told.
  const WallTime cached_at = record ? record->last_modified : wall_time(image.st().st_mtim);
  if (!said.validator.last_modified.empty() && said.mtime && *said.mtime > cached_at) return false;
  records_.set_validator(image.id(), said.validator);
  return true;
}

void CachedImages::drop(const CachedImage& image, Why why) {
  const int dir = layout_.dir(Place::kCached);
  {
    // Once, whoever finds out at the same time, and never the file of a successor.
    std::lock_guard names(layout_.names_mutex());
    auto st = posix::stat_at(dir, image.id().str());
    if (!st || !image.is(*st)) return;
    if (auto gone = posix::unlink_at(dir, image.id().str()); !gone)
      return spdlog::warn("{}: {}", image.id().str(), gone.error().message);
  }
  table_.forget_cached(image.id());
  records_.remove(image.id());
  budget_.freed(image.attr().size);
  ++dropped_[static_cast<size_t>(why)];
  spdlog::info("{}: {} upstream, taken out of the cache", image.id().str(),
               why == Why::kChanged ? "changed" : "gone");
}

}  // namespace imgcachefs
