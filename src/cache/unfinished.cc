#include "cache/unfinished.h"

#include <cerrno>
#include <charconv>
#include <chrono>

#include "base/log.h"
#include "base/units.h"
#include "cache/chunk_map_file.h"

namespace imgcachefs {
namespace {

constexpr const char* kMark = "user.imgcachefs.unfinished";

// A file that nobody of ours made and that was written to within this time is being written to.
constexpr std::chrono::seconds kStrangerGrace{60};

bool has_tail(const struct stat& st, uint64_t image_size) {
  return static_cast<uint64_t>(st.st_size) == image_size + kIncompleteTail;
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

// Mark and tail: true. A mark alone: false. nullopt: no mark.
Result<std::optional<bool>> read_mark(int fd) {
  auto mark = posix::get_xattr(fd, kMark);
  if (!mark) return fail(mark.error());
  if (!*mark) return std::nullopt;
  uint64_t image_size = 0;
  const char* end = (*mark)->data() + (*mark)->size();
  const auto [stop, error] = std::from_chars((*mark)->data(), end, image_size);
  auto st = posix::stat_fd(fd);
  return error == std::errc() && stop == end && st && has_tail(*st, image_size);
}

std::optional<bool> said_by_mark(int fd) {
  auto said = read_mark(fd);
  return said ? *said : std::nullopt;
}

}  // namespace

Status mark_unfinished(int fd, uint64_t image_size) {
  auto marked = posix::set_xattr(fd, kMark, std::to_string(image_size));
  if (!marked && marked.error().sys_errno == EOPNOTSUPP) return {};
  return marked;
}

Status mark_finished(int fd) {
  auto removed = posix::remove_xattr(fd, kMark);
  if (!removed && removed.error().sys_errno == EOPNOTSUPP) return {};
  return removed;
}

bool is_marked_unfinished(int fd) {
  return said_by_mark(fd).value_or(false);
}

bool is_unfinished(const CacheLayout& layout, const ImageId& id, const struct stat& st) {
  if (!S_ISREG(st.st_mode)) return false;
  auto fd = posix::open_unnoticed_at(layout.dir(Place::kCached), id.str(),
                                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return false;  // and nobody can read it
  auto opened = posix::stat_fd(fd->get());
  if (!opened || !same_file(*opened, st)) return false;
  if (auto said = read_mark(fd->get())) return said->value_or(false);
  if (layout.dir(Place::kMaps) < 0) return false;
  auto map = ChunkMapFile::load(layout.dir(Place::kMaps), id.str());
  return map && has_tail(*opened, map->header.image_size);
}

bool take_back_unfinished(const CacheLayout& layout, const ImageId& id, const struct stat& st) {
  if (!is_unfinished(layout, id, st)) return false;
  const int cached = layout.dir(Place::kCached);
  std::lock_guard names(layout.names_mutex());
  auto there = posix::stat_at(cached, id.str());
  if (!there || !same_file(*there, st)) return true;  // somebody else did it
  auto back = posix::rename_new_at(cached, id.str(), layout.dir(Place::kIncomplete), id.str());
  if (!back) back = posix::unlink_at(cached, id.str());
  if (!back) {
    spdlog::warn("{}: not finished, and cannot be taken out of the cache: {}", id.str(),
                 back.error().message);
  } else {
    spdlog::warn("{}: another program called our unfinished file cached; taken back", id.str());
  }
  return true;
}

bool is_filled_by_others(int fd, const struct stat& st, bool has_map) {
  const auto elsewhere = posix::open_elsewhere(fd);
  if (elsewhere && *elsewhere) return true;
  const bool fresh = std::chrono::system_clock::now() - wall_time(st.st_mtim) <= kStrangerGrace;
  if (!fresh) return false;
  // A mark alone: it was ours, and somebody has truncated it.
  return !elsewhere || !said_by_mark(fd).value_or(has_map);
}

}  // namespace imgcachefs
