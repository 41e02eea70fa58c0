// The extended attributes of DESIGN 2.2, as names and texts.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/image.h"
#include "fs/mount_facts.h"

namespace imgcachefs {

using Xattrs = std::vector<std::pair<std::string, std::string>>;  // full name, value

// Absent ones (no checksum known, never accessed, no error) are not in it.
Xattrs image_xattrs(const ImageDetails& details);
Xattrs root_xattrs(const MountFacts& facts);

// Whether a name can be ours at all: others are asked for by every ls(1) and are not worth a look.
bool is_our_xattr(std::string_view name);

const std::string* find_xattr(const Xattrs& xattrs, std::string_view name);  // nullptr: ENODATA
std::string xattr_list(const Xattrs& xattrs);  // as listxattr(2) has it: each name ends with \0

}  // namespace imgcachefs
