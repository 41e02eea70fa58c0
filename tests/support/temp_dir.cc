#include "support/temp_dir.h"

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

namespace imgcachefs::test {

TempDir::TempDir() {
  std::string name = (std::filesystem::temp_directory_path() / "imgcachefs-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr)
    throw std::system_error(errno, std::generic_category(), name);
  path_ = name;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::write(const std::string& name, const std::string& text) const {
  std::ofstream out(path_ / name, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) throw std::system_error(EIO, std::generic_category(), name);
  return file(name);
}

std::string read_file(const std::string& path) {
  // Not by iterators: they throw when a read fails, as that of a /proc/<pid>/ that ended meanwhile.
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace imgcachefs::test
