#include "cache/verification.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <span>
#include <thread>

#include "base/log.h"
#include "cache/unfinished.h"

namespace imgcachefs {
namespace {

constexpr size_t kPiece = 1 << 20;
constexpr size_t kAlignment = 4096;  // of O_DIRECT, enough for every disk

struct Free {
  void operator()(std::byte* bytes) const { std::free(bytes); }
};

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

tl::unexpected<Error> not_cached(const ImageId& id) {
  return fail(ErrorKind::kNotFound, fmt::format("{}: not cached", id.str()));
}

Status still_named(const CacheLayout& layout, const ImageId& id, const struct stat& st) {
  auto there = posix::stat_at(layout.dir(Place::kCached), id.str());
  if (there && same_file(*there, st)) return {};
  return fail(ErrorKind::kStale,
              fmt::format("{}: replaced or removed while it was verified", id.str()));
}

// Open, and held against eviction.
Result<UniqueFd> hold(const CacheLayout& layout, const ImageId& id) {
  const int dir = layout.dir(Place::kCached);
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
  auto fd = posix::open_at(dir, id.str(), kFlags | O_NOATIME);
  if (!fd && fd.error().sys_errno == EPERM) fd = posix::open_at(dir, id.str(), kFlags);
  if (!fd && (fd.error().kind == ErrorKind::kNotFound || fd.error().sys_errno == ELOOP))
    return not_cached(id);
  if (!fd) return fd;
  // Who looks whether a file may be evicted holds it for a moment.
  Status locked = posix::try_lock(fd->get(), posix::LockMode::kShared);
  for (int attempt = 0; !locked && locked.error().kind == ErrorKind::kBusy && attempt < 200;
       ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    locked = posix::try_lock(fd->get(), posix::LockMode::kShared);
  }
  if (!locked) return fail(locked.error().in(id.str()));
  return fd;
}

void set_direct(int fd, bool direct) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT);
}

Result<Digest> hash_file(int fd, const ImageId& id, DigestAlgo algo, uint64_t size,
                         const VerifyProgress& progress) {
  std::unique_ptr<std::byte, Free> buffer(
      static_cast<std::byte*>(std::aligned_alloc(kAlignment, kPiece)));
  if (!buffer) return fail(ErrorKind::kIo, "no memory");
  Hasher hasher(algo);
  bool direct = true;
  set_direct(fd, true);
  for (uint64_t at = 0; at < size;) {
    if (direct && at % kAlignment != 0) set_direct(fd, direct = false);
    const ssize_t n = ::pread(fd, buffer.get(), kPiece, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EINVAL && direct) {  // this file system has no O_DIRECT after all
      set_direct(fd, direct = false);
      continue;
    }
    if (n < 0) return fail_errno(id.str(), errno);
    if (n == 0) break;  // cut short by somebody: another digest comes of it
    hasher.update(std::span(buffer.get(), static_cast<size_t>(n)));
    at += static_cast<uint64_t>(n);
    if (!progress(std::min(at, size)))
      return fail(ErrorKind::kCancelled, fmt::format("{}: not verified to its end", id.str()));
  }
  return hasher.finish();
}

Status move_to_invalid(const CacheLayout& layout, const ImageId& id, const struct stat& st) {
  UniqueFd made;
  int invalid = layout.dir(Place::kInvalid);
  if (invalid < 0) {
    auto opened = layout.make_dir(Place::kInvalid);
    if (!opened) return fail(opened.error());
    made = std::move(*opened);
    invalid = made.get();
  }
  const int cached = layout.dir(Place::kCached);
  {
    std::lock_guard names(layout.names_mutex());
    if (auto named = still_named(layout, id, st); !named) return named;
    if (auto moved = posix::rename_at(cached, id.str(), invalid, id.str()); !moved) return moved;
  }
  // A crash must not bring it back.
  if (auto synced = posix::sync_all(cached); !synced) return synced;
  return posix::sync_all(invalid);
}

}  // namespace

Result<Verification> verify_cached(const CacheLayout& layout, CacheIndex* index, const ImageId& id,
                                   const VerifyProgress& progress) {
  auto fd = hold(layout, id);
  if (!fd) return fail(fd.error());
  auto st = posix::stat_fd(fd->get());
  if (!st) return fail(st.error().in(id.str()));
  if (!S_ISREG(st->st_mode) || is_unfinished(layout, id, *st)) return not_cached(id);
  // Only now: it may have been unlinked between the open and the lock.
  if (auto named = still_named(layout, id, *st); !named) return fail(named.error());
  Verification verification;
  verification.size = static_cast<uint64_t>(st->st_size);
  if (index == nullptr) return verification;
  auto row = index->find(id);
  if (!row) return fail(ErrorKind::kIo, row.error().message);
  if (!*row || !(*row)->checksum) return verification;
  verification.expected = (*row)->checksum;

  auto actual = hash_file(fd->get(), id, verification.expected->algo, verification.size, progress);
  if (!actual) return fail(actual.error());
  verification.actual = std::move(*actual);
  if (auto named = still_named(layout, id, *st); !named) return fail(named.error());

  if (verification.actual == verification.expected) {
    verification.verdict = Verdict::kRight;
    // As it is now: hits may have been counted meanwhile.
    auto fresh = index->find(id);
    if (!fresh) return fail(ErrorKind::kIo, fresh.error().message);
    if (!*fresh || (*fresh)->verified || (*fresh)->checksum != verification.expected)
      return verification;
    (*fresh)->verified = true;
    if (auto put = index->put(**fresh); !put) return fail(ErrorKind::kIo, put.error().message);
    return verification;
  }
  verification.verdict = Verdict::kWrong;
  if (auto moved = move_to_invalid(layout, id, *st); !moved)
    return fail(moved.error().in(id.str()));
  if (auto removed = index->remove(id); !removed)
    spdlog::warn("{}: moved to invalid/, but its row stays in the index for now: {}", id.str(),
                 removed.error().message);
  return verification;
}

}  // namespace imgcachefs
