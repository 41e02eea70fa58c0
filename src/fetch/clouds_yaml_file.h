// The files that clouds are described in, where they are, and what they hold as one kind of tree.
//
// YAML and JSON alike become objects, arrays and strings: numbers and booleans are kept as they are
// written, a null is as good as absent. Merge keys ("<<") and aliases of YAML are resolved.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace imgcachefs {

struct CloudsFile {
  std::string path;
  bool open_to_all = false;  // others than its owner and group can read it
  nlohmann::json tree;       // an object
};

// The first file of `paths` that there is and that can be read; nullopt: none. kInvalid, naming the
// file, when it is not what it should be.
Result<std::optional<CloudsFile>> first_clouds_file(const std::vector<std::string>& paths);

// With a '_' for each '-' in its keys, at any depth, as openstacksdk takes a cloud.
nlohmann::json with_normal_keys(const nlohmann::json& cloud);

// `over` on top of `under`: objects are merged, anything else is replaced.
void merge_tree(nlohmann::json& under, const nlohmann::json& over);

}  // namespace imgcachefs
