#include "ctl/cache_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

#include "cache/chunk_map_file.h"
#include "cache/index_driver.h"
#include "cache/unfinished.h"
#include "ctl/mount.h"

namespace imgcachefs {

namespace {

// Whether a daemon fills it: Glance locks no file. (image_file.h)
bool is_held(const CacheLayout& layout, const ImageId& id) {
  auto fd = posix::open_unnoticed_at(layout.dir(Place::kIncomplete), id.str(),
                                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  return fd && !posix::try_lock(fd->get(), posix::LockMode::kExclusive);
}

// An incomplete file of ours is longer than its image. It has a map, or will have one in a moment.
void drop_tail(const CacheLayout& layout, Place place, StoredFile& file) {
  const auto tail = static_cast<off_t>(kIncompleteTail);
  if (place != Place::kIncomplete || layout.dir(Place::kMaps) < 0 || file.st.st_size < tail) return;
  bool ours;
  auto map = ChunkMapFile::load(layout.dir(Place::kMaps), file.id.str());
  if (map)  // Glance may have begun to fill the same file since
    ours = static_cast<uint64_t>(file.st.st_size) == map->header.image_size + kIncompleteTail;
  else
    ours = map.error().kind != ErrorKind::kNotFound || is_held(layout, file.id);
  if (ours) file.st.st_size -= tail;
}

}  // namespace

Result<CacheView> CacheView::open(const CommandLine& command) {
  std::string dir = command.cache_dir;
  if (!command.mountpoint.empty()) {
    auto mounted = mount_cache_dir(command.mountpoint);
    if (!mounted) return fail(mounted.error());
    dir = *mounted;
  }
  auto layout = CacheLayout::open(dir, CacheLayout::Access::kTool);
  if (!layout) return fail(layout.error());
  CacheView view(std::move(*layout));
  view.mountpoint_ = command.mountpoint.empty() ? find_mount(view.layout_.path())
                                                : std::optional(command.mountpoint);
  auto index = open_existing_index(view.layout_);
  if (!index && index.error().kind != ErrorKind::kNotFound) return fail(index.error());
  if (index) view.index_ = std::move(*index);
  return view;
}

Result<std::vector<ImageEntry>> CacheView::entries(Place place) const {
  std::unordered_map<ImageId, IndexRecord> rows;
  if (place == Place::kCached && index_) {
    auto all = index_->all();
    if (!all) return fail(all.error());
    for (IndexRecord& row : *all) rows.emplace(row.id, std::move(row));
  }
  auto files = layout_.list(place);
  if (!files) return fail(files.error());
  std::vector<ImageEntry> entries;
  for (StoredFile& file : *files) {
    if (place == Place::kCached && is_unfinished(layout_, file.id, file.st)) continue;
    ImageEntry entry{std::move(file), place, std::nullopt};
    drop_tail(layout_, place, entry.file);
    if (auto row = rows.find(entry.file.id); row != rows.end()) entry.row = std::move(row->second);
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [place](const ImageEntry& a, const ImageEntry& b) {
    if (place != Place::kQueue) return a.file.id < b.file.id;
    const struct timespec &at = a.file.st.st_mtim, &bt = b.file.st.st_mtim;
    return std::tie(at.tv_sec, at.tv_nsec, a.file.id) < std::tie(bt.tv_sec, bt.tv_nsec, b.file.id);
  });
  return entries;
}

Result<ImageEntry> CacheView::entry(const ImageId& id) const {
  for (Place place : {Place::kCached, Place::kIncomplete}) {
    if (layout_.dir(place) < 0) continue;
    auto st = posix::stat_at(layout_.dir(place), id.str());
    if (!st && st.error().kind != ErrorKind::kNotFound) return fail(st.error());
    if (!st || !S_ISREG(st->st_mode)) continue;
    if (place == Place::kCached && is_unfinished(layout_, id, *st)) continue;
    ImageEntry entry{{id, *st}, place, std::nullopt};
    drop_tail(layout_, place, entry.file);
    if (place == Place::kCached && index_) {
      auto row = index_->find(id);
      if (!row) return fail(ErrorKind::kIo, row.error().message);
      entry.row = std::move(*row);
    }
    return entry;
  }
  return fail(ErrorKind::kNotFound, fmt::format("{}: not cached", id.str()));
}

bool CacheView::is_served() const {
  if (layout_.dir(Place::kMaps) < 0) return false;
  // A shared lock, as the layout itself asks with: two who ask do not take each other for a daemon.
  auto probe = posix::open_at(layout_.dir(Place::kMaps), ".", O_RDONLY | O_DIRECTORY);
  return probe && !posix::try_lock(probe->get(), posix::LockMode::kShared);
}

}  // namespace imgcachefs
