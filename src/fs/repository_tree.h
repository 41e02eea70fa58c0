// The images of a registry's repositories: see tree.h.
//
//     team/vm/sha256:<hex>              an image, in each repository that has it
//     team/vm/.tags/latest/<title>      link to one of the images of the tag, e.g.
//     ../../sha256:<hex> team/vm/.tags/latest/manifest.json    the text that says what the tag is
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fs/tree.h"

namespace imgcachefs {

class RepositoryTree final : public Tree {
 public:
  RepositoryTree(ImageStore& store, RepositoryImages& repositories)
      : store_(store), repositories_(repositories) {}

  void find(const std::string& directory, const std::string& name, FindDone done) override;
  void list(const std::string& directory, ListDone done) override;

 private:
  void find_in_repository(const std::string& repository, const std::string& name, FindDone done);
  void find_image(const std::string& repository, const ImageId& id, FindDone done);
  void find_in_tag(const std::string& repository, const std::string& tag, const std::string& name,
                   FindDone done);

  ImageStore& store_;
  RepositoryImages& repositories_;
};

// The links of a tag's directory: file names, each unique, and what they lead to. A title that
// cannot be a file name is escaped as in by-name/ (by_name.h); of several with the same one the
// later ones get "~2", "~3" at their end, as does what is called manifest.json.
std::vector<std::pair<std::string, ImageId>> tag_links(const Tag& tag);

}  // namespace imgcachefs
