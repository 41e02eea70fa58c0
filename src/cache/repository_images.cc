#include "cache/repository_images.h"

#include <algorithm>
#include <set>

#include "base/log.h"
#include "cache/repository_marks.h"
#include "fetch/oci_names.h"

namespace imgcachefs {
namespace {

constexpr size_t kMostMembers = 200'000;
constexpr size_t kMostTags = 1000;  // a manifest may have megabytes
constexpr unsigned kListers = 2;

// One that makes no sense, or has no end, is as good as not told, and is not read anew for each
// name.
Result<std::vector<std::string>> usable_catalogue(Result<std::vector<std::string>> catalogue) {
  if (catalogue || catalogue.error().kind != ErrorKind::kProtocol) return catalogue;
  spdlog::warn("the catalogue of repositories is not used: {}", catalogue.error().message);
  return fail(ErrorKind::kDenied, catalogue.error().message);
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
                   return usable_catalogue(upstream_.catalogue(patience, stop_));
                 }),
      tags_({.what = "tags of repositories",
             .revalidate = config.revalidate,
             .negative_ttl = config.negative_ttl},
            threads,
            [this](const std::string& repository, Patience patience) {
              return noted(repository, upstream_.tags(repository, patience, stop_));
            }),
      tag_({.what = "what tags refer to",
            .revalidate = config.revalidate,
            .negative_ttl = config.negative_ttl,
            .most = kMostTags},
           threads,
           [this](const TagOf& key, Patience patience) {
             return noted(key.first, upstream_.tag(key.first, key.second, patience, stop_));
           }),
      members_({.what = "images of repositories",
                .revalidate = config.revalidate,
                .negative_ttl = config.negative_ttl,
                .most = kMostMembers,
                // It is what is shown while upstream is silent.
                .keep = [this](const ImageIn& key) { return found_.is_cached(key); }},
               threads,
               [this](const ImageIn& key, Patience patience) { return ask_member(key, patience); }),
      contents_({.what = "images of all tags",
                 .revalidate = config.revalidate,
                 .negative_ttl = config.negative_ttl},
                {lister_, lister_},
                [this](const std::string& repository, Patience) {
                  return noted(repository, ask_contents(repository));
                }),
      lister_("repo lister", kListers) {}

void RepositoryImages::doubt_all() {
  catalogue_.doubt_all();
  tags_.doubt_all();
  tag_.doubt_all();
  members_.doubt_all();
  contents_.doubt_all();
}

void RepositoryImages::close() {
  lister_.close();
}

void RepositoryImages::find_directory(const std::string& path, Done done) {
  if (!is_repository_name(path))
    return done(fail(ErrorKind::kNotFound, "no repository can be called that"));
  loaded_.pass([this, path, done = std::move(done)] {
    if (has_cached_below(path)) return done({});
    find_uncached_directory(path, done);
  });
}

void RepositoryImages::find_uncached_directory(const std::string& path, Done done) {
  auto catalogued = [path](const Names& catalogue) {
    return std::any_of(catalogue.begin(), catalogue.end(),
                       [&](const std::string& one) { return is_or_lies_below(one, path); });
  };
  // With one try: a catalogue may be too long for its registry, and the tags are asked for as well.
  catalogue_.find(
      {}, {.patience = Patience::kOneTry},
      [this, path, catalogued, done = std::move(done)](const auto& told) {
        if (!told && told.error().kind == ErrorKind::kDenied) return done({});
        if (told && catalogued(**told)) return done({});
        if (!told) return find_tagged_directory(path, fail(told.error()), done);
        find_tagged_directory(path, {}, [this, path, catalogued, done](const Status& tagged) {
          if (tagged || tagged.error().kind != ErrorKind::kNotFound) return done(tagged);
          // Is it above a repository that is younger than the catalogue?
          catalogue_.find({}, {.patience = Patience::kOneTry, .younger_than = config_.negative_ttl},
                          [catalogued, done, tagged](const auto& again) {
                            done(again && catalogued(**again) ? Status() : tagged);
                          });
        });
      });
}

// `catalogue`: why it was not told.
void RepositoryImages::find_tagged_directory(const std::string& path, Status catalogue, Done done) {
  tags_.find(path, [catalogue = std::move(catalogue), done = std::move(done)](const auto& tags) {
    if (tags) return done({});
    const ErrorKind kind = tags.error().kind;
    // Upstream answers, and its catalogue cannot be had: that is as good as not told.
    const bool answers = kind == ErrorKind::kNotFound || kind == ErrorKind::kDenied;
    if (!catalogue && answers) return done({});
    done(fail(tags.error()));
  });
}

void RepositoryImages::find_image(const std::string& repository, const ImageId& id, Done done) {
  loaded_.pass([this, key = ImageIn(repository, id), done = std::move(done)] {
    members_.find(key, [done](const auto& member) {
      if (!member) return done(fail(member.error()));
      done({});
    });
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

template <typename Answer>
Result<Answer> RepositoryImages::noted(const std::string& repository, Result<Answer> answer) {
  if (!answer && answer.error().kind == ErrorKind::kDenied) refused(repository);
  return answer;
}

Result<RepositoryImages::Member> RepositoryImages::ask_member(const ImageIn& key,
                                                              Patience patience) {
  auto info = noted(key.first, upstream_.stat(key.first, key.second, patience, stop_));
  if (info) {
    found(key);
    return Member{};
  }
  if (info.error().kind == ErrorKind::kNotFound) gone(key);
  return fail(info.error());
}

void RepositoryImages::list(const std::string& path, std::function<void(Result<Listing>)> done) {
  auto answer = [this, path, done = std::move(done)](const Result<Contents>& contents) {
    threads_.brief.submit([this, path, done, contents] {
      Listing shown = listing(path, contents ? *contents : contents_.known(path));
      // A repository without tags, and a directory above others, have none to tell of.
      const bool refused = !contents && !is_silence(contents.error()) &&
                           contents.error().kind != ErrorKind::kNotFound;
      if (refused && shown.directories.empty() && shown.images.size() == 0)
        return done(fail(contents.error()));
      done(std::move(shown));
    });
  };
  if (!config_.list_all) return loaded_.pass([answer = std::move(answer)] { answer(Contents()); });
  loaded_.pass([this, path, answer = std::move(answer)] {
    catalogue_.find(
        {}, {.patience = Patience::kOneTry}, [this, path, answer](const auto& catalogue) {
          if (!catalogue && catalogue.error().kind != ErrorKind::kDenied)
            spdlog::warn(
                "the catalogue of repositories cannot be read, its last state is shown: {}",
                catalogue.error().message);
          const bool is_repository =
              !path.empty() && (!catalogue || std::find((*catalogue)->begin(), (*catalogue)->end(),
                                                        path) != (*catalogue)->end());
          if (!is_repository) return answer(Contents());
          contents_.find(path, {.patience = Patience::kOneTry}, answer);
        });
  });
}

RepositoryImages::Listing RepositoryImages::listing(const std::string& path,
                                                    const Contents& contents) {
  std::set<std::string> directories;
  for (std::string& name : found_.names_below(path))
    if (has_cached_below(path.empty() ? name : path + "/" + name))
      directories.insert(std::move(name));
  NameList images;
  const NameList found = found_.cached_in(path);
  for (const std::string_view name : found)
    if (auto id = ImageId::parse(name); id && is_cached({path, std::move(*id)})) images.add(name);
  if (config_.list_all) {
    if (auto catalogue = catalogue_.known({}))
      for (const std::string& repository : *catalogue)
        if (std::string name = next_component(repository, path); !name.empty())
          directories.insert(std::move(name));
    if (contents)
      for (const ImageId& id : *contents) images.add(id.str());
  }
  images.sort();
  return {{directories.begin(), directories.end()}, std::move(images)};
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
    if (!tag && is_silence(tag.error())) return fail(tag.error());
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
  loaded_.pass(
      [this, repository, done = std::move(done)] { tags_.find(repository, std::move(done)); });
}

void RepositoryImages::find_tag(const std::string& repository, const std::string& tag,
                                std::function<void(Result<std::shared_ptr<const Tag>>)> done) {
  if (!is_repository_name(repository))
    return done(fail(ErrorKind::kNotFound, "no repository can be called that"));
  loaded_.pass([this, key = TagOf(repository, tag), done = std::move(done)] {
    tag_.find(key, std::move(done));
  });
}

}  // namespace imgcachefs
