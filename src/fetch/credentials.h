// The secrets of a mount, from `credentials=FILE` (DESIGN 2.1): `key = value` lines, `#` comments.
#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace imgcachefs {

class Credentials {
 public:
  Credentials() = default;

  // kInvalid, naming the file and why, unless it is a regular file of mode 0600 or stricter that
  // holds only known keys.
  static Result<Credentials> load(const std::string& path);

  // The value of a key, or "" when it is not set. Keys are those of DESIGN 2.1.
  const std::string& get(const std::string& key) const;
  bool empty() const { return values_.empty(); }

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace imgcachefs
