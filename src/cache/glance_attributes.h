// The extended attributes that Glance's xattr driver puts on its files, to the letter.
//
//     user.hits    of a cached image: how often it was read, in decimal digits and nothing else
//     user.error   of an invalid one: why, in words
//
// Source: Glance's image_cache/drivers/xattr.py. What others left there is tolerated: Glance itself
// fails on a value that is no number, and on a cached file without one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imgcachefs {

struct HitsAttribute {
  uint64_t hits = 0;
  bool as_glance_writes_it = true;  // false: it should be written anew
};

// nullopt: the file has none. kIo with EOPNOTSUPP where the file system has no such attributes.
Result<std::optional<HitsAttribute>> read_hits(int fd);
HitsAttribute parse_hits(std::string_view value);
Status write_hits(int fd, uint64_t hits);
Status remove_hits(int fd);  // none there is no error

Status write_error(int fd, std::string_view reason);
Result<std::optional<std::string>> read_error(int fd);  // nullopt: it has none

}  // namespace imgcachefs
