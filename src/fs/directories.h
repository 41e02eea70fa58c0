// The directories of a mount and what is in them beside the images.
//
//     MOUNT/             the images
//     MOUNT/by-name/     links to them, where upstream gives them names (by_name.h)
//     MOUNT/.imgcachefs/ metrics, status
//
// The last two are found but not listed: a program that walks the mount meets each image once, and
// nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/named_images.h"
#include "fs/node_table.h"
#include "fs/open_files.h"

namespace imgcachefs {

// The node of a name that is none of upstream's; nullopt when it is no such name. `has_names`:
// whether there is a by-name/.
std::optional<uint64_t> own_node(uint64_t parent, std::string_view name, bool has_names);

std::string by_name_path(const std::string& file_name);  // in the mount
Link by_name_link(const std::string& file_name, const ImageId& id);

OpenDirectory root_directory(const std::vector<ImageId>& ids);
OpenDirectory control_directory();
OpenDirectory by_name_directory(const std::vector<NamedImage>& images);

}  // namespace imgcachefs
