#include "ctl/shown_text.h"

#include <fmt/format.h>
#include <locale.h>
#include <wchar.h>

#include <cstdio>

#include "fetch/utf8.h"

namespace imgcachefs {
namespace {

// wcwidth() asks the locale of the thread, which may know no more than ASCII.
int columns_of(char32_t code) {
  // Nearly everything is one of these, and a list may have millions of characters.
  if (code >= 0x20 && code < 0x7f) return 1;
  if (code == 0) return -1;  // of which it says that it takes no room
  static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (utf8 == nullptr) return code < 0x20 || (code >= 0x7f && code < 0xa0) ? -1 : 1;
  const locale_t before = ::uselocale(utf8);
  const int columns = ::wcwidth(static_cast<wchar_t>(code));
  ::uselocale(before);
  return columns;
}

// Marks and overrides of the direction of writing: unseen, they make a name look like another.
bool turns_writing_round(char32_t code) {
  return code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);
}

struct Character {
  std::string_view bytes;
  char32_t code = 0;
  int columns = -1;  // -1: not to be shown as it is
};

Character first_of(std::string_view text) {
  const size_t length = utf8_length(text);
  if (length == 0) return {text.substr(0, 1), static_cast<unsigned char>(text[0]), -1};
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  char32_t code = byte(0);
  if (length > 1) code &= 0x7fU >> length;
  for (size_t i = 1; i < length; ++i) code = code << 6 | (byte(i) & 0x3fU);
  return {text.substr(0, length), code, turns_writing_round(code) ? -1 : columns_of(code)};
}

}  // namespace

std::string shown(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Character character = first_of(text);
    text.remove_prefix(character.bytes.size());
    if (character.columns >= 0)
      out += character.bytes;
    else if (character.bytes.size() == 1)
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(character.code));
    else
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(character.code));
  }
  return out;
}

size_t width(std::string_view text) {
  size_t columns = 0;
  while (!text.empty()) {
    const Character character = first_of(text);
    text.remove_prefix(character.bytes.size());
    if (character.columns > 0) columns += static_cast<size_t>(character.columns);
  }
  return columns;
}

std::string shortened(std::string_view text, size_t columns, std::string_view ellipsis) {
  if (width(text) <= columns) return std::string(text);
  const size_t mark = width(ellipsis);
  if (columns <= mark) return std::string(columns, '.');
  std::string_view rest = text;
  for (size_t taken = 0; !rest.empty();) {
    const Character character = first_of(rest);
    taken += character.columns > 0 ? static_cast<size_t>(character.columns) : 0;
    if (taken > columns - mark) break;
    rest.remove_prefix(character.bytes.size());
  }
  return std::string(text.substr(0, text.size() - rest.size())).append(ellipsis);
}

std::string fitted(std::string_view text, size_t columns, std::string_view ellipsis) {
  std::string fit = shortened(text, columns, ellipsis);
  return fit.append(columns - width(fit), ' ');
}

void complain(std::string_view message) {
  fmt::print(stderr, "imgcachectl: {}\n", shown(message));
}

}  // namespace imgcachefs
