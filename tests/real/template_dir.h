// A directory that takes seconds to make, made once for all test programs: databases with their
// schema, say. It lies in the build directory and is made again for another version of the package
// or another recipe.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

namespace imgcachefs::test {

struct TemplateSpec {
  std::string package;  // Debian's, whose version counts
  std::string recipe;   // what it is made from, as text: anything that changes what comes out
  std::function<void(const std::filesystem::path& dir)> make;  // throws when it cannot be made
};

// Several programs may ask at once: one makes it and the others wait.
std::filesystem::path template_dir(const TemplateSpec& spec);

}  // namespace imgcachefs::test
