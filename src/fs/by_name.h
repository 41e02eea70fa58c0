// The file names in by-name/: upstream's names of images, as far as they can be file names.
//
// A name that is a file name is itself. Otherwise what a file name cannot hold is written as %XX
// (upper-case hex): '/', control characters, what is no UTF-8, the first '.' of "." and "..", and
// '%' itself, so that every file name says which name it stands for. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace imgcachefs {

// nullopt for what has none: an empty name, and one that becomes longer than a file name can be
// (255 bytes).
std::optional<std::string> file_name_of(std::string_view image_name);

// The other way. nullopt when no name is written like that.
std::optional<std::string> image_name_of(std::string_view file_name);

}  // namespace imgcachefs
