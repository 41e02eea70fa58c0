#include "cache/repository_images.h"

#include <algorithm>
#include <unordered_set>

#include "base/log.h"
#include "cache/repository_marks.h"
#include "fetch/oci_names.h"

namespace imgcachefs {
namespace {

// What was found and is not cached, as a bound: it is remembered for its mark alone.
constexpr size_t kMostFound = 100'000;
constexpr size_t kMostMembers = 200'000;

bool is_or_lies_below(const std::string& repository, const std::string& path) {
  return path.empty() || repository == path ||
         (repository.starts_with(path) && repository[path.size()] == '/');
}

// The name in directory `path` that leads to a repository below it; "": none does.
std::string next_component(const std::string& repository, const std::string& path) {
  if (!is_or_lies_below(repository, path) || repository == path) return "";
  const size_t begin = path.empty() ? 0 : path.size() + 1;
  return repository.substr(begin, repository.find('/', begin) - begin);
}

bool is_silent(const Error& error) {
  return error.kind == ErrorKind::kTimeout || error.kind == ErrorKind::kUnavailable;
}

// That upstream does not tell its catalogue does not change from one look to the next.
std::chrono::seconds catalogue_refusal_ttl(const StoreConfig& config) {
  return std::max(config.negative_ttl, config.revalidate.value_or(std::chrono::hours(24)));
}

}  // namespace

RepositoryImages::RepositoryImages(const StoreConfig& config, const CacheLayout& layout,
                                   Repositories& upstream, AskingThreads threads,
                                   std::stop_token stop)
    : config_(config),
      layout_(layout),
      upstream_(upstream),
      threads_(threads),
      stop_(std::move(stop)),
      catalogue_({.what = "the catalogue of repositories",
                  .revalidate = config.revalidate,
                  .negative_ttl = catalogue_refusal_ttl(config)},
                 threads,
                 [this](std::monostate, Patience patience) {
                   return upstream_.catalogue(patience, stop_);
                 }),
      tags_({.what = "tags of repositories",
             .revalidate = config.revalidate,
             .negative_ttl = config.negative_ttl},
            threads,
            [this](const std::string& repository, Patience patience) {
              return upstream_.tags(repository, patience, stop_);
            }),
      tag_({.what = "what tags refer to",
            .revalidate = config.revalidate,
            .negative_ttl = config.negative_ttl},
           threads,
           [this](const TagOf& key, Patience patience) {
             return upstream_.tag(key.first, key.second, patience, stop_);
           }),
      members_({.what = "images of repositories",
                .revalidate = config.revalidate,
                .negative_ttl = config.negative_ttl,
                .most = kMostMembers},
               threads,
               [this](const ImageIn& key, Patience patience) { return ask_member(key, patience); }),
      contents_({.what = "images of all tags",
                 .revalidate = config.revalidate,
                 .negative_ttl = config.negative_ttl},
                threads, [this](const std::string& repository, Patience) {
                  return ask_contents(repository);
                }) {}

Status RepositoryImages::load() {
  auto cached = layout_.names(Place::kCached);
  if (!cached) return fail(cached.error());
  for (const ImageId& id : *cached) {
    auto file =
        posix::open_at(layout_.dir(Place::kCached), id.str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) continue;
    for (const std::string& repository : marked_repositories(file->get())) {
      members_.assume({repository, id}, {});
      std::lock_guard lock(mutex_);
      found_count_ += found_[repository].insert(id).second;
    }
  }
  return {};
}

void RepositoryImages::find_directory(const std::string& path, Done done) {
  if (!is_repository_name(path))
    return done(fail(ErrorKind::kNotFound, "no repository can be called that"));
  if (has_cached_below(path)) return done({});
  catalogue_.find({}, [this, path, done = std::move(done)](const auto& catalogue) {
    if (!catalogue) {
      if (catalogue.error().kind == ErrorKind::kDenied) return done({});
      return done(fail(catalogue.error()));
    }
    const bool catalogued =
        std::any_of((*catalogue)->begin(), (*catalogue)->end(),
                    [&](const std::string& one) { return is_or_lies_below(one, path); });
    if (catalogued) return done({});
    tags_.find(path, [done](const auto& tags) {
      if (!tags) return done(fail(tags.error()));
      done({});
    });
  });
}

void RepositoryImages::find_image(const std::string& repository, const ImageId& id, Done done) {
  members_.find({repository, id}, [done = std::move(done)](const auto& member) {
    if (!member) return done(fail(member.error()));
    done({});
  });
}

void RepositoryImages::find_queued(const ImageId& id, Done done) {
  auto file =
      posix::open_at(layout_.dir(Place::kQueue), id.str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  find_in_one_of(file ? marked_repositories(file->get()) : Names{}, id, std::move(done));
}

void RepositoryImages::find_in_one_of(Names repositories, const ImageId& id, Done done) {
  if (repositories.empty()) return done({});
  const std::string first = std::move(repositories.front());
  repositories.erase(repositories.begin());
  find_image(first, id, [this, rest = std::move(repositories), id, done](const Status& found) {
    if (found || rest.empty()) return done(found);
    find_in_one_of(rest, id, done);
  });
}

Result<RepositoryImages::Member> RepositoryImages::ask_member(const ImageIn& key,
                                                              Patience patience) {
  auto info = upstream_.stat(key.first, key.second, patience, stop_);
  if (info) {
    found(key);
    return Member{};
  }
  if (info.error().kind == ErrorKind::kNotFound) gone(key);
  return fail(info.error());
}

void RepositoryImages::found(const ImageIn& key) {
  const auto& [repository, id] = key;
  auto file =
      posix::open_at(layout_.dir(Place::kCached), id.str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  {
    std::lock_guard lock(mutex_);
    if (!file && found_count_ >= kMostFound) return;
    if (!found_[repository].insert(id).second) return;
    ++found_count_;
  }
  if (!file) return;  // it will be marked when it is cached
  std::lock_guard lock(marking_);
  if (auto marked = mark_repository(file->get(), repository); !marked)
    spdlog::warn("{}: not noted that it is in a repository: {}", id.str(), marked.error().message);
}

void RepositoryImages::gone(const ImageIn& key) {
  const auto& [repository, id] = key;
  {
    std::lock_guard lock(mutex_);
    auto at = found_.find(repository);
    if (at == found_.end() || at->second.erase(id) == 0) return;
    --found_count_;
    if (at->second.empty()) found_.erase(at);
  }
  auto file =
      posix::open_at(layout_.dir(Place::kCached), id.str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file) return;
  std::lock_guard lock(marking_);
  if (auto unmarked = unmark_repository(file->get(), repository); !unmarked)
    spdlog::warn("{}: still noted as in a repository: {}", id.str(), unmarked.error().message);
}

void RepositoryImages::image_committing(const ImageId& id, int fd) {
  std::vector<std::string> repositories;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [repository, images] : found_)
      if (images.contains(id)) repositories.push_back(repository);
  }
  std::lock_guard lock(marking_);
  for (const std::string& repository : repositories)
    if (auto marked = mark_repository(fd, repository); !marked)
      spdlog::warn("{}: not noted that it is in a repository: {}", id.str(),
                   marked.error().message);
}

bool RepositoryImages::has_cached_below(const std::string& path) const {
  std::vector<ImageId> images;
  {
    std::lock_guard lock(mutex_);
    for (auto at = found_.lower_bound(path); at != found_.end() && at->first.starts_with(path);
         ++at)
      if (is_or_lies_below(at->first, path))
        images.insert(images.end(), at->second.begin(), at->second.end());
  }
  return std::any_of(images.begin(), images.end(), [this](const ImageId& id) {
    auto st = posix::stat_at(layout_.dir(Place::kCached), id.str());
    return st && S_ISREG(st->st_mode);
  });
}

void RepositoryImages::list(const std::string& path, std::function<void(Result<Listing>)> done) {
  auto answer = [this, path, done = std::move(done)](std::optional<Error> error) {
    threads_.brief.submit([this, path, done, error = std::move(error)] {
      auto shown = listing(path);
      if (!shown) return done(fail(shown.error()));
      if (error && !is_silent(*error) && shown->directories.empty() && shown->images.empty())
        return done(fail(*error));
      done(std::move(*shown));
    });
  };
  if (!config_.list_all) return answer(std::nullopt);
  catalogue_.find({}, [this, path, answer = std::move(answer)](const auto& catalogue) {
    if (!catalogue && catalogue.error().kind != ErrorKind::kDenied)
      spdlog::warn("the catalogue of repositories cannot be read, its last state is shown: {}",
                   catalogue.error().message);
    const bool is_repository =
        !path.empty() && (!catalogue || std::find((*catalogue)->begin(), (*catalogue)->end(),
                                                  path) != (*catalogue)->end());
    if (!is_repository) return answer(std::nullopt);
    contents_.find(path, [answer](const auto& contents) {
      // A repository without tags, or a directory above others.
      const bool none = !contents && contents.error().kind == ErrorKind::kNotFound;
      answer(contents || none ? std::nullopt : std::optional(contents.error()));
    });
  });
}

Result<RepositoryImages::Listing> RepositoryImages::listing(const std::string& path) const {
  auto names = layout_.names(Place::kCached);
  if (!names) return fail(names.error());
  const std::unordered_set<ImageId> cached(names->begin(), names->end());
  std::set<std::string> directories;
  std::set<ImageId> images;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [repository, members] : found_) {
      if (repository == path)
        std::copy_if(members.begin(), members.end(), std::inserter(images, images.end()),
                     [&](const ImageId& id) { return cached.contains(id); });
      const std::string name = next_component(repository, path);
      if (!name.empty() && !directories.contains(name) &&
          std::any_of(members.begin(), members.end(),
                      [&](const ImageId& id) { return cached.contains(id); }))
        directories.insert(name);
    }
  }
  if (config_.list_all) {
    if (auto catalogue = catalogue_.known({}))
      for (const std::string& repository : *catalogue)
        if (std::string name = next_component(repository, path); !name.empty())
          directories.insert(std::move(name));
    if (auto contents = contents_.known(path)) images.insert(contents->begin(), contents->end());
  }
  return Listing{{directories.begin(), directories.end()}, {images.begin(), images.end()}};
}

Result<std::vector<ImageId>> RepositoryImages::ask_contents(const std::string& repository) {
  using Clock = std::chrono::steady_clock;
  const auto asked = Clock::now();
  auto tags = upstream_.tags(repository, Patience::kOneTry, stop_);
  if (!tags) return fail(tags.error());
  tags_.put(repository, *tags, asked);
  std::set<ImageId> images;
  for (const std::string& name : *tags) {
    const auto asked_tag = Clock::now();
    auto tag = upstream_.tag(repository, name, Patience::kOneTry, stop_);
    if (!tag && is_silent(tag.error())) return fail(tag.error());
    if (!tag) {
      spdlog::debug("a tag is not listed: {}", tag.error().message);
      continue;
    }
    for (const TaggedImage& image : tag->images) images.insert(image.id);
    tag_.put({repository, name}, std::move(*tag), asked_tag);
  }
  return std::vector<ImageId>(images.begin(), images.end());
}

void RepositoryImages::list_tags(const std::string& repository,
                                 std::function<void(Result<Tags>)> done) {
  if (!is_repository_name(repository))
    return done(fail(ErrorKind::kNotFound, "no repository can be called that"));
  tags_.find(repository, std::move(done));
}

void RepositoryImages::find_tag(const std::string& repository, const std::string& tag,
                                std::function<void(Result<std::shared_ptr<const Tag>>)> done) {
  if (!is_repository_name(repository))
    return done(fail(ErrorKind::kNotFound, "no repository can be called that"));
  tag_.find({repository, tag}, std::move(done));
}

}  // namespace imgcachefs
