#include "cache/image_queue.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "cache/repository_marks.h"

namespace imgcachefs {
namespace {

Result<bool> is_file(int dir, const ImageId& id) {
  if (dir < 0) return false;
  auto st = posix::stat_at(dir, id.str());
  if (st) return S_ISREG(st->st_mode);
  if (st.error().kind == ErrorKind::kNotFound) return false;
  return fail(st.error());
}

// The kernel's own time stamps stand still for milliseconds, and the order must be that in which
// images were queued.
Status stamp_now(int fd) {
  struct timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  const struct timespec times[2] = {now, now};
  return posix::set_times(fd, times);
}

// A new file of the queue that is there with its mark or not at all: who takes up the queue a
// moment too early would find that nobody knows where the image is, and say so. kUnavailable: that
// cannot be done here.
Result<UniqueFd> make_marked(int dir, const ImageId& id, const std::string& repository) {
  const auto cannot = [](const Error& error) {
    return fail(ErrorKind::kUnavailable, error.message);
  };
  auto fd = posix::open_at(dir, ".", O_WRONLY | O_TMPFILE, 0600);
  if (!fd) return cannot(fd.error());
  if (auto marked = mark_repository(fd->get(), repository); !marked) return cannot(marked.error());
  if (auto stamped = stamp_now(fd->get()); !stamped) return fail(stamped.error());
  const std::string unnamed = fmt::format("/proc/self/fd/{}", fd->get());
  if (::linkat(AT_FDCWD, unnamed.c_str(), dir, id.str().c_str(), AT_SYMLINK_FOLLOW) == 0) return fd;
  if (errno == EEXIST) return fail_errno(id.str(), EEXIST);
  return cannot(Error{ErrorKind::kIo, "linkat"});
}

Result<UniqueFd> make_file(int dir, const ImageId& id, const std::string& repository) {
  if (!repository.empty())
    if (auto made = make_marked(dir, id, repository);
        made || made.error().kind != ErrorKind::kUnavailable)
      return made;
  auto fd = posix::open_at(dir, id.str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
  if (!fd) return fd;
  if (auto stamped = stamp_now(fd->get()); !stamped) return fail(stamped.error());
  return fd;
}

}  // namespace

Result<bool> ImageQueue::is_queued(const ImageId& id) const {
  return is_file(layout_.dir(Place::kQueue), id);
}

Result<ImageQueue::Outcome> ImageQueue::queue_image(const ImageId& id, bool being_cached,
                                                    const std::string& repository) const {
  auto outcome = queue_file(id, being_cached, repository);
  if (repository.empty() || !outcome ||
      (*outcome != Outcome::kQueued && *outcome != Outcome::kAlreadyQueued))
    return outcome;
  // It may be taken out again already, by who cached it.
  if (auto noted = note_repository(id, repository);
      !noted && noted.error().kind != ErrorKind::kNotFound)
    return fail(noted.error());
  return outcome;
}

Result<ImageQueue::Outcome> ImageQueue::queue_file(const ImageId& id, bool being_cached,
                                                   const std::string& repository) const {
  const int cached_dir = layout_.dir(Place::kCached);
  auto cached = is_file(cached_dir, id);
  if (!cached) return fail(cached.error());
  if (*cached) return Outcome::kCached;
  if (being_cached) return Outcome::kBeingCached;
  UniqueFd made;
  int dir = layout_.dir(Place::kQueue);
  if (dir < 0) {
    auto opened = layout_.make_dir(Place::kQueue);
    if (!opened) return fail(opened.error());
    made = std::move(*opened);
    dir = made.get();
  }
  auto fd = make_file(dir, id, repository);
  if (!fd && fd.error().sys_errno == EEXIST) return Outcome::kAlreadyQueued;
  if (!fd) return fail(fd.error().in("queue"));
  // It may have become cached since we looked, and then nobody else would take it out.
  cached = is_file(cached_dir, id);
  if (!cached || !*cached) return Outcome::kQueued;
  if (auto gone = posix::unlink_at(dir, id.str());
      !gone && gone.error().kind != ErrorKind::kNotFound)
    return fail(gone.error().in("queue"));
  return Outcome::kCached;
}

Status ImageQueue::note_repository(const ImageId& id, const std::string& repository) const {
  const int dir = layout_.dir(Place::kQueue);
  if (dir < 0) return fail(ErrorKind::kNotFound, id.str() + ": not queued");
  auto fd = posix::open_at(dir, id.str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return fail(fd.error().in("queue"));
  // Who looked at the queue before this tries again at once: its time of change is newer.
  if (auto marked = mark_repository(fd->get(), repository); !marked) return marked;
  if (!marked_repositories(fd->get()).empty()) return {};
  return fail(ErrorKind::kIo,
              fmt::format("{}: it is queued, but the cache's file system keeps no extended "
                          "attributes to note its repository in: look at it through the mount, "
                          "for the daemon to know where it is",
                          id.str()));
}

Status ImageQueue::renew(const ImageId& id) const {
  const int dir = layout_.dir(Place::kQueue);
  if (dir < 0) return fail(ErrorKind::kNotFound, id.str() + ": not queued");
  auto fd = posix::open_at(dir, id.str(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return fail(fd.error().in("queue"));
  auto st = posix::stat_fd(fd->get());
  if (!st) return fail(st.error().in("queue"));
  // The same times as before: what changes is the time of the change.
  const struct timespec times[2] = {st->st_atim, st->st_mtim};
  return posix::set_times(fd->get(), times);
}

Result<bool> ImageQueue::remove(const ImageId& id) const {
  const int dir = layout_.dir(Place::kQueue);
  if (dir < 0) return false;
  auto gone = posix::unlink_at(dir, id.str());
  if (gone) return true;
  if (gone.error().kind == ErrorKind::kNotFound) return false;
  return fail(gone.error().in("queue"));
}

Result<std::vector<ImageId>> ImageQueue::remove_all() const {
  auto queued = images();
  if (!queued) return fail(queued.error());
  std::vector<ImageId> removed;
  for (const StoredFile& file : *queued) {
    auto gone = remove(file.id);
    if (!gone) return fail(gone.error());
    if (*gone) removed.push_back(file.id);
  }
  return removed;
}

Result<std::vector<StoredFile>> ImageQueue::images() const {
  auto files = layout_.list(Place::kQueue);
  if (!files) return files;
  std::sort(files->begin(), files->end(), [](const StoredFile& a, const StoredFile& b) {
    const struct timespec &at = a.st.st_mtim, &bt = b.st.st_mtim;
    return std::tie(at.tv_sec, at.tv_nsec, a.id) < std::tie(bt.tv_sec, bt.tv_nsec, b.id);
  });
  return files;
}

}  // namespace imgcachefs
