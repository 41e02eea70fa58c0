#include "cache/held_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <span>

#include "cache/eviction.h"
#include "cache/glance_attributes.h"
#include "cache/unfinished.h"

namespace imgcachefs {
namespace {

constexpr size_t kPiece = 1 << 20;
constexpr size_t kAlignment = 4096;  // of O_DIRECT, enough for every disk

struct Free {
  void operator()(std::byte* bytes) const { std::free(bytes); }
};

tl::unexpected<Error> not_cached(const ImageId& id) {
  return fail(ErrorKind::kNotFound, fmt::format("{}: not cached", id.str()));
}

// Open, and held against eviction.
Result<UniqueFd> open_and_hold(const CacheLayout& layout, const ImageId& id) {
  const int dir = layout.dir(Place::kCached);
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  auto fd = posix::open_unnoticed_at(dir, id.str(), kFlags);
  if (!fd && (fd.error().kind == ErrorKind::kNotFound || fd.error().sys_errno == ELOOP))
    return not_cached(id);
  if (!fd) return fd;
  Status locked = lock_in_use(fd->get());
  if (!locked) return fail(locked.error().in(id.str()));
  return fd;
}

void set_direct(int fd, bool direct) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT);
}

}  // namespace

Result<HeldImage> HeldImage::hold(const CacheLayout& layout, const ImageId& id) {
  auto fd = open_and_hold(layout, id);
  if (!fd) return fail(fd.error());
  auto st = posix::stat_fd(fd->get());
  if (!st) return fail(st.error().in(id.str()));
  if (!S_ISREG(st->st_mode) || is_unfinished(layout, id, *st)) return not_cached(id);
  HeldImage held(layout, id, std::move(*fd), *st);
  // Only now: it may have been unlinked between the open and the lock.
  if (auto named = held.still_named(); !named) return fail(named.error());
  return held;
}

Status HeldImage::still_named() const {
  auto there = posix::stat_at(layout_->dir(Place::kCached), id_.str());
  if (there && posix::untouched(st_, *there)) return {};
  return fail(ErrorKind::kStale,
              fmt::format("{}: replaced or removed while it was verified", id_.str()));
}

Result<Digest> HeldImage::hash(DigestAlgo algo, const VerifyProgress& progress) const {
  std::unique_ptr<std::byte, Free> buffer(
      static_cast<std::byte*>(std::aligned_alloc(kAlignment, kPiece)));
  if (!buffer) return fail(ErrorKind::kIo, "no memory");
  Hasher hasher(algo);
  bool direct = true;
  set_direct(fd_.get(), true);
  for (uint64_t at = 0; at < size();) {
    if (direct && at % kAlignment != 0) set_direct(fd_.get(), direct = false);
    const ssize_t n = ::pread(fd_.get(), buffer.get(), kPiece, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EINVAL && direct) {  // this file system has no O_DIRECT after all
      set_direct(fd_.get(), direct = false);
      continue;
    }
    if (n < 0) return fail_errno(id_.str(), errno);
    if (n == 0) break;  // cut short by somebody: another digest comes of it
    hasher.update(std::span(buffer.get(), static_cast<size_t>(n)));
    at += static_cast<uint64_t>(n);
    if (!progress(std::min(at, size())))
      return fail(ErrorKind::kCancelled, fmt::format("{}: not verified to its end", id_.str()));
  }
  if (auto named = still_named(); !named) return fail(named.error());
  return hasher.finish();
}

Status HeldImage::quarantine(const std::string& reason) const {
  UniqueFd made;
  int invalid = layout_->dir(Place::kInvalid);
  if (invalid < 0) {
    auto opened = layout_->make_dir(Place::kInvalid);
    if (!opened) return fail(opened.error());
    made = std::move(*opened);
    invalid = made.get();
  }
  const int cached = layout_->dir(Place::kCached);
  {
    std::lock_guard names(layout_->names_mutex());
    if (auto named = still_named(); !named) return named;
    (void)write_error(fd_.get(), reason);
    if (auto moved = posix::rename_at(cached, id_.str(), invalid, id_.str()); !moved) return moved;
  }
  // A crash must not bring it back.
  if (auto synced = posix::sync_all(cached); !synced) return synced;
  return posix::sync_all(invalid);
}

}  // namespace imgcachefs
