// The tree that a mount shows: which name in which directory is what. There are two shapes of it.
//
//     image_tree.h         MOUNT/<id>                           images, by their IDs
//                          MOUNT/by-name/<name>                 links to them
//     repository_tree.h    MOUNT/<repository...>/<id>           a registry's
//                          MOUNT/<repository...>/.tags/<tag>/   links to them, by their titles
//
// by-name/ and .tags/ are found but not listed: a program that walks the mount meets each image
// where it lies, and has not a question asked for each name and tag there is.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cache/image_store.h"
#include "fs/node_table.h"
#include "fs/open_files.h"

namespace imgcachefs {

// Thread-safe. Directories are given as paths that find() returned, or "" for the mount itself.
// Callbacks are called once, at once or from a thread of the store.
class Tree {
 public:
  virtual ~Tree() = default;

  using FindDone = std::function<void(Result<Found>)>;
  virtual void find(const std::string& directory, const std::string& name, FindDone done) = 0;

  using ListDone = std::function<void(Result<OpenDirectory>)>;
  virtual void list(const std::string& directory, ListDone done) = 0;
};

// The one that fits the store's upstream. `store` outlives it.
std::unique_ptr<Tree> tree_of(ImageStore& store);

inline std::string path_in(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

}  // namespace imgcachefs
