// Images by their IDs, and by the names that upstream gives them, where it does: see tree.h.
#pragma once

#include "fs/tree.h"

namespace imgcachefs {

class ImageTree final : public Tree {
 public:
  explicit ImageTree(ImageStore& store) : store_(store) {}

  void find(const std::string& directory, const std::string& name, FindDone done) override;
  void list(const std::string& directory, ListDone done) override;

 private:
  void find_by_name(const std::string& name, FindDone done);
  void list_by_name(ListDone done);

  ImageStore& store_;
};

}  // namespace imgcachefs
