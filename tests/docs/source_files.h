// The project's own files, for tests that hold its documents against them.
#pragma once

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace imgcachefs {

namespace files = std::filesystem;
inline const files::path kSource = IMGCACHEFS_SOURCE_DIR;

inline std::string read(const files::path& path) {  // "" when it cannot be read
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace imgcachefs
