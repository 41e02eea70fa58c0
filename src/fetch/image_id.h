// The name of an image: parsed once, safe ever after. An ImageId can be a file name in the cache
// directory and a part of a URL's path, or it does not exist.
//
// Refused: "", "." and "..", more than 255 bytes, '/', control characters (they would end a log
// line early), text that is not UTF-8 (JSON and SQLite could not carry it), and the names that the
// cache directory uses itself (DESIGN 2.5): incomplete invalid queue maps cache.db*
// image_cache_db_init checkme .imgcachefs.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imgcachefs {

class ImageId {
 public:
  static Result<ImageId> parse(std::string_view text);

  const std::string& str() const { return text_; }
  auto operator<=>(const ImageId&) const = default;

 private:
  explicit ImageId(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace imgcachefs

template <>
struct std::hash<imgcachefs::ImageId> {
  size_t operator()(const imgcachefs::ImageId& id) const noexcept {
    return std::hash<std::string>()(id.str());
  }
};
