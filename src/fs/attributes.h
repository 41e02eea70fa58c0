// What stat(2) says of the things a mount shows.
#pragma once

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "cache/image.h"
#include "cache/store_status.h"
#include "fs/node_table.h"

namespace imgcachefs {

struct Ownership {
  uid_t uid = 0;
  gid_t gid = 0;
  mode_t mode = 0444;  // of images; directories may be searched by who may read
};

// The inode number of an ID, or by its path of what is no image: the same in every mount and for
// every version of the image.
uint64_t inode_number(std::string_view name);
inline uint64_t inode_number(const ImageId& id) {
  return inode_number(id.str());
}

struct stat image_attributes(const Image& image, const Ownership& ownership);
struct stat named_attributes(const NamedNode& node, const Ownership& ownership, WallTime since);
struct stat directory_attributes(uint64_t inode, const Ownership& ownership, WallTime since);
// A page of .imgcachefs/: its text is made when it is opened, so it has no size before.
struct stat page_attributes(uint64_t inode, const Ownership& ownership, WallTime since);

struct statvfs file_system_attributes(const SpaceUsage& space);

}  // namespace imgcachefs
