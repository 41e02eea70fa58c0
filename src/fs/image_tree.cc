#include "fs/image_tree.h"

#include <sys/stat.h>

#include "fs/attributes.h"
#include "fs/by_name.h"

namespace imgcachefs {
namespace {

constexpr const char* kByName = "by-name";

}  // namespace

void ImageTree::find(const std::string& directory, const std::string& name, FindDone done) {
  if (directory == kByName) return find_by_name(name, std::move(done));
  if (name == kByName && store_.has_names()) return done(NamedNode(Directory{kByName}));
  auto id = ImageId::parse(name);
  if (!id) return done(fail(ErrorKind::kNotFound, id.error().message));
  store_.lookup(*id, [done = std::move(done)](Result<std::shared_ptr<Image>> image) {
    if (!image) return done(fail(image.error()));
    done(std::move(*image));
  });
}

void ImageTree::find_by_name(const std::string& name, FindDone done) {
  auto image_name = image_name_of(name);
  if (!image_name) return done(fail(ErrorKind::kNotFound, "no name is written like that"));
  store_.find_named(*image_name, [name, done = std::move(done)](const Result<ImageId>& id) {
    if (!id) return done(fail(id.error()));
    done(NamedNode(Link{path_in(kByName, name), "../" + id->str()}));
  });
}

void ImageTree::list(const std::string& directory, ListDone done) {
  if (directory == kByName) return list_by_name(std::move(done));
  store_.list([done = std::move(done)](const Result<NameList>& ids) {
    if (!ids) return done(fail(ids.error()));
    OpenDirectory listed;
    listed.reserve(ids->size(), ids->bytes());
    for (const std::string_view id : *ids) listed.add(id, inode_number(id), S_IFREG);
    done(std::move(listed));
  });
}

void ImageTree::list_by_name(ListDone done) {
  store_.list_named([done = std::move(done)](const Result<std::vector<NamedImage>>& images) {
    if (!images) return done(fail(images.error()));
    OpenDirectory listed;
    for (const NamedImage& image : *images) {
      auto file_name = file_name_of(image.name);
      if (!file_name) continue;
      const uint64_t inode = inode_number(path_in(kByName, *file_name));
      listed.add(*file_name, inode, S_IFLNK);
    }
    done(std::move(listed));
  });
}

}  // namespace imgcachefs
