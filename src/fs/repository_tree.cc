#include "fs/repository_tree.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <climits>
#include <unordered_map>

#include "fs/attributes.h"
#include "fs/by_name.h"

namespace imgcachefs {
namespace {

constexpr const char* kTags = ".tags";
constexpr const char* kManifest = "manifest.json";
constexpr size_t kLongestNumber = 6;  // "~10001": no manifest refers to more

// A directory's path, taken apart. What a repository is called has no component that begins with a
// dot.
struct RepositoryPath {
  std::string repository;
  bool is_of_tags = false;  // its .tags/, or in it
  std::string tag;          // "": not of one tag

  explicit RepositoryPath(const std::string& directory) {
    const std::string middle = std::string("/") + kTags;
    const size_t at = directory.find(middle);
    repository = directory.substr(0, at);
    is_of_tags = at != std::string::npos;
    if (is_of_tags && at + middle.size() < directory.size())
      tag = directory.substr(at + middle.size() + 1);
  }
};

}  // namespace

std::vector<std::pair<std::string, ImageId>> tag_links(const Tag& tag) {
  std::vector<std::pair<std::string, ImageId>> links;
  // Names that are taken, and of each the number it has to be tried with next: of thousands with
  // the same title not each shall try all that are taken.
  std::unordered_map<std::string, unsigned> taken{{kManifest, 2}};
  for (const TaggedImage& image : tag.images) {
    auto name = file_name_of(image.title);
    if (!name || name->size() + kLongestNumber > NAME_MAX) name = image.id.str();
    std::string unique = *name;
    while (!taken.try_emplace(unique, 2).second)
      unique = fmt::format("{}~{}", *name, taken.at(*name)++);
    links.emplace_back(std::move(unique), image.id);
  }
  return links;
}

void RepositoryTree::find(const std::string& directory, const std::string& name, FindDone done) {
  const RepositoryPath path(directory);
  if (!path.tag.empty()) return find_in_tag(path.repository, path.tag, name, std::move(done));
  if (path.is_of_tags)
    return repositories_.find_tag(path.repository, name,
                                  [directory, name, done = std::move(done)](const auto& tag) {
                                    if (!tag) return done(fail(tag.error()));
                                    done(NamedNode(Directory{path_in(directory, name)}));
                                  });
  find_in_repository(directory, name, std::move(done));
}

void RepositoryTree::find_in_repository(const std::string& repository, const std::string& name,
                                        FindDone done) {
  auto directory = [path = path_in(repository, name), done](const auto& there) {
    if (!there) return done(fail(there.error()));
    done(NamedNode(Directory{path}));
  };
  if (name == kTags && !repository.empty())
    return repositories_.list_tags(repository, std::move(directory));
  // No name of a repository has a colon in it, and every digest has.
  if (name.find(':') == std::string::npos || repository.empty())
    return repositories_.find_directory(path_in(repository, name), std::move(directory));
  auto id = ImageId::parse(name);
  if (!id) return done(fail(ErrorKind::kNotFound, id.error().message));
  find_image(repository, *id, std::move(done));
}

void RepositoryTree::find_image(const std::string& repository, const ImageId& id, FindDone done) {
  repositories_.find_image(repository, id, [this, id, done = std::move(done)](const Status& in_it) {
    if (!in_it) return done(fail(in_it.error()));
    store_.lookup(id, [done](Result<std::shared_ptr<Image>> image) {
      if (!image) return done(fail(image.error()));
      done(std::move(*image));
    });
  });
}

void RepositoryTree::find_in_tag(const std::string& repository, const std::string& tag,
                                 const std::string& name, FindDone done) {
  const std::string path = fmt::format("{}/{}/{}/{}", repository, kTags, tag, name);
  repositories_.find_tag(repository, tag, [path, name, done = std::move(done)](const auto& found) {
    if (!found) return done(fail(found.error()));
    if (name == kManifest)  // shared with what is known of the tag
      return done(NamedNode(TextFile{path, {*found, &(*found)->manifest}}));
    for (const auto& [link, id] : tag_links(**found))
      if (link == name) return done(NamedNode(Link{path, "../../" + id.str()}));
    done(fail(ErrorKind::kNotFound, "the tag refers to nothing of that name"));
  });
}

void RepositoryTree::list(const std::string& directory, ListDone done) {
  const RepositoryPath path(directory);
  auto add = [directory](OpenDirectory& to, const std::string& name, mode_t mode) {
    to.add(name, inode_number(path_in(directory, name)), mode);
  };
  if (!path.tag.empty())
    return repositories_.find_tag(path.repository, path.tag,
                                  [add, done = std::move(done)](const auto& tag) {
                                    if (!tag) return done(fail(tag.error()));
                                    OpenDirectory links;
                                    add(links, kManifest, S_IFREG);
                                    for (const auto& [name, id] : tag_links(**tag))
                                      add(links, name, S_IFLNK);
                                    done(std::move(links));
                                  });
  if (path.is_of_tags)
    return repositories_.list_tags(path.repository,
                                   [add, done = std::move(done)](const auto& tags) {
                                     if (!tags) return done(fail(tags.error()));
                                     OpenDirectory directories;
                                     for (const std::string& tag : **tags)
                                       add(directories, tag, S_IFDIR);
                                     done(std::move(directories));
                                   });
  repositories_.list(directory,
                     [add, done = std::move(done)](const Result<RepositoryImages::Listing>& found) {
                       if (!found) return done(fail(found.error()));
                       OpenDirectory listed;
                       for (const std::string& name : found->directories)
                         add(listed, name, S_IFDIR);
                       for (const std::string_view name : found->images)
                         listed.add(name, inode_number(name), S_IFREG);
                       done(std::move(listed));
                     });
}

}  // namespace imgcachefs
