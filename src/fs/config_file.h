// config=FILE: options in an INI file.
//
//     source = glance+https://images.example:9292
//     mountpoint = /mnt/images
//     # for every mount
//     max_size = 100G
//     insecure
//     [/mnt/images]
//     fill = demand
//
// Keys before the first section hold for all mounts, a section [MOUNTPOINT] for that one and over
// them. Comments are lines that start with # or ;. What stands in sections of other mount points is
// only checked to be well formed. `source` and `mountpoint`, which are no options, are for who
// starts imgcachefs with this file and nothing else (imgcachefs@.service).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "fs/settings.h"

namespace imgcachefs {

// `mountpoints`: the spellings of ours (as given and made absolute, with symlinks resolved); none:
// the file says it.
Result<Settings> read_config_file(const std::string& path, std::vector<std::string> mountpoints);
Result<Settings> parse_config(const std::string& text, const std::string& path,
                              std::vector<std::string> mountpoints);

}  // namespace imgcachefs
