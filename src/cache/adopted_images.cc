#include "cache/adopted_images.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include "base/log.h"
#include "cache/eviction.h"
#include "cache/verification.h"

namespace imgcachefs {
namespace {

constexpr int kAfterAllOthers = 19;  // nice(2)

}  // namespace

// A record of another size is of another file that had its name.
bool AdoptedImages::is_recorded(const CachedImage& image) const {
  const auto record = records_.find(image.id());
  return record && record->verified && record->size == static_cast<uint64_t>(image.st().st_size);
}

bool AdoptedImages::settled(const CachedImage& image) {
  if (image.settled()) return true;
  bool settled = is_recorded(image);
  if (!settled) {
    std::lock_guard lock(mutex_);
    const auto at = begun_.find(image.id());
    settled = at != begun_.end() && at->second.has_no_checksum && image.is(at->second.st);
  }
  if (settled) image.settle();
  return settled;
}

bool AdoptedImages::claim(const CachedImage& image) {
  {
    std::lock_guard lock(mutex_);
    if (auto at = begun_.find(image.id()); at != begun_.end() && image.is(at->second.st))
      return false;
  }
  if (is_recorded(image)) return false;
  std::lock_guard lock(mutex_);
  auto [at, fresh] = begun_.try_emplace(image.id(), Begun{image.st()});
  if (fresh) return true;
  if (image.is(at->second.st)) return false;
  at->second = Begun{image.st()};
  return true;
}

void AdoptedImages::release(const ImageId& id) {
  std::lock_guard lock(mutex_);
  begun_.erase(id);
}

void AdoptedImages::has_no_checksum(const ImageId& id, const struct stat& st) {
  std::lock_guard lock(mutex_);
  begun_.insert_or_assign(id, Begun{st, true});
}

void AdoptedImages::verify(std::shared_ptr<const CachedImage> image, const ImageInfo& said) {
  verifier_.submit([this, image = std::move(image), said] {
    if (stop_.stop_requested()) return;
    ::setpriority(PRIO_PROCESS, 0, kAfterAllOthers);  // of this thread alone, on Linux
    const Status judged = judge(*image, said);
    if (judged) return;
    const ErrorKind kind = judged.error().kind;
    // What went or changed meanwhile is nothing to complain of.
    if (kind != ErrorKind::kCancelled && kind != ErrorKind::kStale && kind != ErrorKind::kNotFound)
      spdlog::warn("{}: cached before, and its checksum could not be verified: {}",
                   image->id().str(), judged.error().message);
    // A disk that fails would be read again and again.
    if (kind != ErrorKind::kIo) release(image->id());
  });
}

Status AdoptedImages::judge(const CachedImage& image, const ImageInfo& said) {
  const ImageId& id = image.id();
  std::optional<Digest> expected = said.digest, actual;
  std::optional<HeldImage> held;  // not while the first answer is waited for
  const auto right = [&] { return actual == expected; };
  // A list of checksums may have been older than the image: it is asked for anew before we judge.
  for (const bool fresh : {false, true}) {
    if (fresh || !expected) {
      auto published = upstream_.digest(said, fresh, stop_);
      if (!published) return fail(published.error());
      expected = std::move(*published);
    }
    if (!expected) {
      spdlog::debug("{}: cached before, and no checksum is published for it", id.str());
      has_no_checksum(id, image.st());
      image.settle();
      return {};
    }
    if (!held) {
      auto now = HeldImage::hold(layout_, id);
      if (!now) return fail(now.error());
      if (!image.is(now->st())) return fail(ErrorKind::kStale, id.str() + ": another file by now");
      held = std::move(*now);
    }
    if (!actual || actual->algo != expected->algo) {
      auto hashed =
          held->hash(expected->algo, [this](uint64_t) { return !stop_.stop_requested(); });
      if (!hashed) return fail(hashed.error());
      actual = std::move(*hashed);
    }
    if (right()) break;
  }
  if (right()) {
    records_.set_verified(id, *expected);
    image.settle();
    spdlog::info("{}: cached before, and its bytes have {}", id.str(), expected->tagged());
    return {};
  }
  // The checksum may be of a newer version: then these bytes are outdated, and that is found at the
  // next look at what upstream says.
  auto now = upstream_.stat(id, Patience::kFull, stop_);
  if (!now) return fail(now.error());
  if (now->size != said.size || !now->validator.same_version(said.validator))
    return fail(ErrorKind::kStale, id.str() + ": changed upstream while it was verified");
  return condemn(image, *held, wrong_checksum(id, *expected, *actual));
}

Status AdoptedImages::condemn(const CachedImage& image, const HeldImage& held,
                              const std::string& why) {
  const auto before = posix::stat_at(layout_.dir(Place::kInvalid), image.id().str());
  if (auto moved = held.quarantine(why); !moved) return moved;
  records_.remove(image.id());
  image.condemn();  // before the kernel drops its pages: what is read anew finds it
  spdlog::error(
      "{}; it was cached before, is moved to invalid/ now, and fetched anew by the next "
      "open; who has it open gets EIO",
      why);
  uint64_t freed = counted_bytes(Place::kCached, held.st());
  if (before) freed += counted_bytes(Place::kInvalid, *before);
  const uint64_t kept = counted_bytes(Place::kInvalid, held.st());
  found_wrong_(image, freed > kept ? freed - kept : 0);
  release(image.id());
  return {};
}

}  // namespace imgcachefs
