#include "fs/attributes.h"

#include <algorithm>
#include <chrono>

namespace imgcachefs {
namespace {

constexpr uint64_t kBlock = 4096;

struct stat owned(uint64_t inode, const Ownership& ownership, WallTime since) {
  struct stat st {};
  st.st_ino = inode;
  st.st_uid = ownership.uid;
  st.st_gid = ownership.gid;
  st.st_nlink = 1;
  st.st_atim = st.st_mtim = st.st_ctim = to_timespec(since);
  return st;
}

}  // namespace

uint64_t inode_number(std::string_view name) {
  // FNV-1a: std::hash may differ between two builds, and an inode number is kept by backup tools.
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : name) hash = (hash ^ c) * 0x100000001b3;
  return hash < 16 ? hash + 16 : hash;  // 0 is no inode number, the first few are ours
}

struct stat image_attributes(const Image& image, const Ownership& ownership) {
  const ImageAttr attr = image.attr();
  struct stat st = owned(inode_number(image.id()), ownership, attr.last_modified);
  st.st_mode = S_IFREG | ownership.mode;
  st.st_size = static_cast<off_t>(attr.size);
  st.st_blocks = static_cast<blkcnt_t>((attr.on_disk + 511) / 512);
  st.st_atim = to_timespec(attr.last_accessed);
  return st;
}

struct stat directory_attributes(uint64_t inode, const Ownership& ownership, WallTime since) {
  struct stat st = owned(inode, ownership, since);
  st.st_mode = S_IFDIR | ownership.mode | ((ownership.mode & 0444) >> 2);
  st.st_nlink = 2;
  return st;
}

struct stat page_attributes(uint64_t inode, const Ownership& ownership, WallTime since) {
  struct stat st = owned(inode, ownership, since);
  st.st_mode = S_IFREG | ownership.mode;
  return st;
}

struct stat named_attributes(const NamedNode& node, const Ownership& ownership, WallTime since) {
  const uint64_t inode =
      inode_number(std::visit([](const auto& one) { return std::string_view(one.path); }, node));
  if (std::holds_alternative<Directory>(node)) return directory_attributes(inode, ownership, since);
  if (const auto* text = std::get_if<TextFile>(&node)) {
    struct stat st = page_attributes(inode, ownership, since);
    st.st_size = static_cast<off_t>(text->text->size());
    return st;
  }
  struct stat st = owned(inode, ownership, since);
  st.st_mode = S_IFLNK | 0777;  // as links have it: what they lead to decides
  st.st_size = static_cast<off_t>(std::get<Link>(node).target.size());
  return st;
}

struct statvfs file_system_attributes(const SpaceUsage& space) {
  struct statvfs st {};
  st.f_bsize = st.f_frsize = kBlock;
  st.f_blocks = space.limit / kBlock;
  st.f_bfree = st.f_bavail = (space.limit - std::min(space.used, space.limit)) / kBlock;
  st.f_files = space.images;
  st.f_namemax = 255;
  return st;
}

}  // namespace imgcachefs
