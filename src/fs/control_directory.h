// MOUNT/.imgcachefs/: metrics and status. It is found but not listed: a program that walks the
// mount meets each image once, and nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "fs/open_files.h"

namespace imgcachefs {

// The node of a name of it, or its own below the root; nullopt when the name is none of these.
std::optional<uint64_t> control_node(uint64_t parent, std::string_view name);
bool is_control_page(uint64_t node);

OpenDirectory control_directory();

}  // namespace imgcachefs
