#include "cache/repository_marks.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/posix.h"
#include "fetch/oci_names.h"

namespace imgcachefs {
namespace {

constexpr const char* kRepositoriesMark = "user.imgcachefs.repositories";
constexpr size_t kMostMarks = 2048;  // bytes: a file system has room for little more

Status write_marks(int fd, const std::vector<std::string>& repositories) {
  Status written = repositories.empty()
                       ? posix::remove_xattr(fd, kRepositoriesMark)
                       : posix::set_xattr(fd, kRepositoriesMark,
                                          fmt::format("{}", fmt::join(repositories, "\n")));
  if (!written && written.error().sys_errno == EOPNOTSUPP) return {};
  return written;
}

}  // namespace

std::vector<std::string> marked_repositories(int fd) {
  std::vector<std::string> repositories;
  const auto text = posix::get_xattr(fd, kRepositoriesMark);
  if (!text || !*text) return repositories;
  for (std::string_view left = **text; !left.empty();) {
    const std::string_view one = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(one.size() + 1, left.size()));
    if (is_repository_name(one)) repositories.emplace_back(one);
  }
  return repositories;
}

Status mark_repository(int fd, const std::string& repository) {
  auto marked = marked_repositories(fd);
  size_t length = repository.size();
  for (const std::string& one : marked) {
    if (one == repository) return {};
    length += one.size() + 1;
  }
  if (length > kMostMarks) return {};
  marked.push_back(repository);
  return write_marks(fd, marked);
}

Status unmark_repository(int fd, const std::string& repository) {
  auto marked = marked_repositories(fd);
  if (std::erase(marked, repository) == 0) return {};
  return write_marks(fd, marked);
}

}  // namespace imgcachefs
