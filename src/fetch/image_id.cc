#include "fetch/image_id.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "fetch/utf8.h"

namespace imgcachefs {
namespace {

bool is_our_own_name(std::string_view text) {
  constexpr std::array<std::string_view, 7> kNames = {
      "incomplete", "invalid", "queue", "maps", "image_cache_db_init", "checkme", ".imgcachefs"};
  return std::find(kNames.begin(), kNames.end(), text) != kNames.end() ||
         text.starts_with("cache.db");
}

}  // namespace

Result<ImageId> ImageId::parse(std::string_view text) {
  // The text itself is repeated only where it cannot harm the line it is written to.
  if (text.empty()) return fail(ErrorKind::kInvalid, "an image ID cannot be empty");
  if (text.size() > 255) return fail(ErrorKind::kInvalid, "image ID of more than 255 bytes");
  if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }))
    return fail(ErrorKind::kInvalid, "image ID with a control character");
  if (!is_utf8(text)) return fail(ErrorKind::kInvalid, "image ID that is not UTF-8");
  if (text == "." || text == ".." || text.find('/') != std::string_view::npos)
    return fail(ErrorKind::kInvalid, fmt::format("'{}' cannot be an image ID", text));
  if (is_our_own_name(text))
    return fail(ErrorKind::kInvalid,
                fmt::format("'{}' is a name that the cache directory uses itself", text));
  return ImageId(std::string(text));
}

}  // namespace imgcachefs
