// A directory of a test's own under $TMPDIR (else /tmp), removed with all that is in it in the
// destructor. Throws std::system_error when it cannot be made: a test has nothing to go on with.
#pragma once

#include <filesystem>
#include <string>

namespace imgcachefs::test {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // The path of `name` in it.
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  // Writes `name` and returns its path.
  std::string write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

std::string read_file(const std::string& path);  // "" when it cannot be read

}  // namespace imgcachefs::test
