#include "fetch/image_id.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace imgcachefs {
namespace {

// Length of the UTF-8 sequence `text` begins with; 0 when it begins with none (overlong forms,
// surrogates and code points past U+10FFFF are none).
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto continues = [&](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if (first == 0xE0 && byte(1) < 0xA0) return 0;
    if (first == 0xED && byte(1) > 0x9F) return 0;
    return continues(1) && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if (first == 0xF0 && byte(1) < 0x90) return 0;
    if (first == 0xF4 && byte(1) > 0x8F) return 0;
    return continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t n = utf8_length(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

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
