#include "cache/removal.h"

#include <fmt/format.h>

#include "base/log.h"
#include "cache/unfinished.h"

namespace imgcachefs {
namespace {

bool used_by_stranger(const CacheLayout& layout, const ImageId& id, int fd, const struct stat& st,
                      Strangers strangers) {
  if (strangers == Strangers::kOpen) return posix::open_elsewhere(fd).value_or(false);
  const int maps = layout.dir(Place::kMaps);
  return is_filled_by_others(fd, st, maps >= 0 && posix::stat_at(maps, id.str()).has_value());
}

}  // namespace

Result<UniqueFd> hold_unused(const CacheLayout& layout, Place place, const ImageId& id,
                             Strangers strangers) {
  const int dir = layout.dir(place);
  if (dir < 0) return fail(ErrorKind::kNotFound, id.str());
  auto fd = posix::open_at(dir, id.str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return fd;
  auto locked = posix::try_lock(fd->get(), posix::LockMode::kExclusive);
  if (!locked && locked.error().kind == ErrorKind::kBusy)
    return fail(ErrorKind::kBusy, fmt::format("{}: in use", id.str()));
  if (!locked) return fail(locked.error().in(id.str()));
  auto held = posix::stat_fd(fd->get());
  auto named = posix::stat_at(dir, id.str());
  if (!held) return fail(held.error().in(id.str()));
  if (!named) return fail(named.error());
  if (!S_ISREG(held->st_mode) || held->st_ino != named->st_ino || held->st_dev != named->st_dev)
    return fail(ErrorKind::kNotFound, fmt::format("{}: changed meanwhile", id.str()));
  if (place == Place::kIncomplete && used_by_stranger(layout, id, fd->get(), *held, strangers))
    return fail(ErrorKind::kBusy, fmt::format("{}: being filled by another program", id.str()));
  return fd;
}

Status remove_held(const CacheLayout& layout, Place place, const ImageId& id) {
  if (place == Place::kIncomplete && layout.dir(Place::kMaps) >= 0)
    if (auto gone = posix::unlink_if_there_at(layout.dir(Place::kMaps), id.str()); !gone)
      return gone;
  return posix::unlink_if_there_at(layout.dir(place), id.str());
}

bool remove_unused(const CacheLayout& layout, Place place, const ImageId& id, Strangers strangers,
                   bool dry_run) {
  Status done;
  UniqueFd held;
  // Nobody is given an invalid image any more, so those need not be held: who has one open keeps
  // it.
  if (place != Place::kInvalid) {
    auto fd = hold_unused(layout, place, id, strangers);
    if (fd)
      held = std::move(*fd);
    else
      done = fail(fd.error());
  }
  if (done && !dry_run) done = remove_held(layout, place, id);
  if (done) return true;
  if (done.error().kind != ErrorKind::kBusy && done.error().kind != ErrorKind::kNotFound)
    spdlog::warn("cannot remove an image from the cache: {}", done.error().message);
  return false;
}

}  // namespace imgcachefs
