#include "fs/tree.h"

#include "fs/image_tree.h"
#include "fs/repository_tree.h"

namespace imgcachefs {

std::unique_ptr<Tree> tree_of(ImageStore& store) {
  if (auto* repositories = store.repositories())
    return std::make_unique<RepositoryTree>(store, *repositories);
  return std::make_unique<ImageTree>(store);
}

}  // namespace imgcachefs
