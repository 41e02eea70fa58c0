#include "cache/glance_attributes.h"

#include <charconv>
#include <limits>

#include "base/posix.h"

namespace imgcachefs {
namespace {

constexpr const char* kHits = "user.hits";
constexpr const char* kError = "user.error";
// A small file system block holds all attributes of a file.
constexpr size_t kLongestReason = 1000;

}  // namespace

HitsAttribute parse_hits(std::string_view value) {
  HitsAttribute parsed;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, parsed.hits);
  if (error == std::errc::result_out_of_range) parsed.hits = std::numeric_limits<int64_t>::max();
  parsed.as_glance_writes_it = error == std::errc() && stop == end;
  return parsed;
}

Result<std::optional<HitsAttribute>> read_hits(int fd) {
  auto value = posix::get_xattr(fd, kHits);
  if (!value) return fail(value.error());
  if (!*value) return std::nullopt;
  return parse_hits(**value);
}

Status write_hits(int fd, uint64_t hits) {
  return posix::set_xattr(fd, kHits, std::to_string(hits));
}

Status remove_hits(int fd) {
  return posix::remove_xattr(fd, kHits);
}

Result<std::optional<std::string>> read_error(int fd) {
  return posix::get_xattr(fd, kError);
}

Status write_error(int fd, std::string_view reason) {
  return posix::set_xattr(fd, kError, reason.substr(0, kLongestReason));
}

}  // namespace imgcachefs
