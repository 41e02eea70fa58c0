// RepositoryImages: what was found where, in memory and noted on the files.
#include "base/log.h"
#include "cache/repository_images.h"
#include "cache/repository_marks.h"

namespace imgcachefs {

void RepositoryImages::load() {
  auto listed = layout_.each_name(Place::kCached, [this](const ImageId& id) {
    if (stop_.stop_requested()) return;
    auto file =
        posix::open_at(layout_.dir(Place::kCached), id.str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) return;
    for (const std::string& repository : marked_repositories(file->get())) {
      members_.assume({repository, id}, {});
      found_.add({repository, id}, true);
    }
  });
  if (!listed)
    spdlog::warn("what is cached of which repository cannot be read: {}", listed.error().message);
  look_after_ = kFewCached + 2 * found_.count_cached();
  loaded_.open();
}

void RepositoryImages::found(const ImageIn& key) {
  const bool is_news = !found_.is_cached(key);
  auto file = posix::open_at(layout_.dir(Place::kCached), key.second.str(),
                             O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  found_.add(key, file.has_value());
  if (file && is_news) mark(key, file->get());  // else it will be when it is cached
}

void RepositoryImages::gone(const ImageIn& key) {
  if (found_.remove(key)) unmark(key);
}

// It may not be pulled: what is known of it is not shown any more, even should upstream fall silent
// now. Whoever asks again is told again.
void RepositoryImages::refused(const std::string& repository) {
  for (const ImageId& id : found_.remove_all(repository)) {
    members_.forget({repository, id});
    unmark({repository, id});
  }
  if (auto tags = tags_.known(repository))
    for (const std::string& tag : *tags) tag_.forget({repository, tag});
  tags_.forget(repository);
  contents_.forget(repository);
}

void RepositoryImages::mark(const ImageIn& key, int fd) {
  std::lock_guard lock(marking_);
  if (auto marked = mark_repository(fd, key.first); !marked)
    spdlog::warn("{}: not noted that it is in a repository: {}", key.second.str(),
                 marked.error().message);
}

void RepositoryImages::unmark(const ImageIn& key) {
  auto file = posix::open_at(layout_.dir(Place::kCached), key.second.str(),
                             O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file) return;
  std::lock_guard lock(marking_);
  if (auto unmarked = unmark_repository(file->get(), key.first); !unmarked)
    spdlog::warn("{}: still noted as in a repository: {}", key.second.str(),
                 unmarked.error().message);
}

void RepositoryImages::image_committing(const ImageId& id, int fd) {
  for (const std::string& repository : found_.repositories_of(id)) mark({repository, id}, fd);
  found_.is_cached_now(id);  // whoever sees the file finds it
}

void RepositoryImages::image_committed(const ImageId& id) {
  // Once more: who looked for the file before it was there has it down as not cached.
  found_.is_cached_now(id);
  if (found_.count_cached() >= look_after_) look_after_the_evicted();
}

void RepositoryImages::not_read(const ImageId& id) {
  for (const std::string& repository : found_.repositories_of(id))
    members_.forget({repository, id});
}

bool RepositoryImages::is_cached(const ImageIn& key) {
  auto is_there = [&] {
    auto st = posix::stat_at(layout_.dir(Place::kCached), key.second.str());
    return st && S_ISREG(st->st_mode);
  };
  if (is_there()) return true;
  found_.is_not_cached_now(key);
  if (!is_there()) return false;
  found_.add(key, true);  // it came back in between
  return true;
}

// What is evicted is not told here: it shows when somebody looks, and nobody looks at everything.
void RepositoryImages::look_after_the_evicted() {
  for (const ImageIn& key : found_.all_cached()) is_cached(key);
  look_after_ = kFewCached + 2 * found_.count_cached();
}

bool RepositoryImages::has_cached_below(const std::string& path) {
  while (auto some = found_.some_cached_below(path))
    if (is_cached(*some)) return true;
  return false;
}

}  // namespace imgcachefs
