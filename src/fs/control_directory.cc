#include "fs/control_directory.h"

#include <sys/stat.h>

#include "fs/node_table.h"

namespace imgcachefs {
namespace {

constexpr const char* kControlName = ".imgcachefs";
constexpr const char* kMetricsName = "metrics";
constexpr const char* kStatusName = "status";

}  // namespace

std::optional<uint64_t> control_node(uint64_t parent, std::string_view name) {
  if (parent == node::kRoot && name == kControlName) return node::kControl;
  if (parent == node::kControl && name == kMetricsName) return node::kMetrics;
  if (parent == node::kControl && name == kStatusName) return node::kStatus;
  return std::nullopt;
}

bool is_control_page(uint64_t node) {
  return node == node::kMetrics || node == node::kStatus;
}

OpenDirectory control_directory() {
  OpenDirectory directory;
  directory.self = node::kControl;
  directory.above = node::kRoot;
  directory.add(kMetricsName, node::kMetrics, S_IFREG);
  directory.add(kStatusName, node::kStatus, S_IFREG);
  return directory;
}

}  // namespace imgcachefs
