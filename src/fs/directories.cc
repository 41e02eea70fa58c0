#include "fs/directories.h"

#include <sys/stat.h>

#include "fs/attributes.h"
#include "fs/by_name.h"

namespace imgcachefs {
namespace {

constexpr const char* kControlName = ".imgcachefs";
constexpr const char* kByNameName = "by-name";
constexpr const char* kMetricsName = "metrics";
constexpr const char* kStatusName = "status";

}  // namespace

std::optional<uint64_t> own_node(uint64_t parent, std::string_view name, bool has_names) {
  if (parent == node::kRoot && name == kControlName) return node::kControl;
  if (parent == node::kRoot && name == kByNameName && has_names) return node::kByName;
  if (parent == node::kControl && name == kMetricsName) return node::kMetrics;
  if (parent == node::kControl && name == kStatusName) return node::kStatus;
  return std::nullopt;
}

std::string by_name_path(const std::string& file_name) {
  return std::string(kByNameName) + "/" + file_name;
}

Link by_name_link(const std::string& file_name, const ImageId& id) {
  return {by_name_path(file_name), "../" + id.str()};
}

OpenDirectory root_directory(const std::vector<ImageId>& ids) {
  OpenDirectory directory{{{".", node::kRoot, S_IFDIR}, {"..", node::kRoot, S_IFDIR}}};
  directory.entries.reserve(ids.size() + 2);
  for (const ImageId& id : ids) directory.entries.push_back({id.str(), inode_number(id), S_IFREG});
  return directory;
}

OpenDirectory control_directory() {
  return {{{".", node::kControl, S_IFDIR},
           {"..", node::kRoot, S_IFDIR},
           {kMetricsName, node::kMetrics, S_IFREG},
           {kStatusName, node::kStatus, S_IFREG}}};
}

OpenDirectory by_name_directory(const std::vector<NamedImage>& images) {
  OpenDirectory directory{{{".", node::kByName, S_IFDIR}, {"..", node::kRoot, S_IFDIR}}};
  for (const NamedImage& image : images) {
    auto file_name = file_name_of(image.name);
    if (!file_name) continue;
    const uint64_t inode = inode_number(by_name_path(*file_name));
    directory.entries.push_back({std::move(*file_name), inode, S_IFLNK});
  }
  return directory;
}

}  // namespace imgcachefs
