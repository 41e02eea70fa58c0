// What the place that our output goes to can show.
//
// Colour and cutting to width are for people at a terminal. Elsewhere (a pipe, a file) output is
// plain and whole.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace imgcachefs {

enum class Style { kPlain, kTitle, kFaint, kGood, kWarning, kBad };

struct Terminal {
  bool is_one = false;
  size_t columns = 0;   // 0: as many as it takes, for it is no terminal
  size_t rows = 0;      // 0: the same
  bool colour = false;  // false with NO_COLOR (no-color.org) and where TERM is dumb or not set
  bool moves = false;   // a cursor can be moved about: TERM is neither dumb nor not set
  bool utf8 = false;    // by the locale of the environment

  // The text in its style, or as it is where there is no colour.
  std::string styled(Style style, std::string_view text) const;
  std::string_view ellipsis() const { return utf8 ? "…" : "..."; }
};

// For what has to have a width where there is no terminal.
inline constexpr size_t kColumnsElsewhere = 80;

// Size: what the kernel says of it, else COLUMNS and LINES, else 80x24.
Terminal terminal_of(int fd);

// What a terminal is told (ECMA-48, and xterm's private modes, which every terminal of today has).
namespace ansi {
inline constexpr std::string_view kClearLine = "\r\033[K";       // from its start
inline constexpr std::string_view kClearRest = "\033[K";         // of the line
inline constexpr std::string_view kClearBelow = "\033[J";        // of the screen
inline constexpr std::string_view kHome = "\033[H";              // to the upper left
inline constexpr std::string_view kOtherScreen = "\033[?1049h";  // leaves the first as it is
inline constexpr std::string_view kFirstScreen = "\033[?1049l";
inline constexpr std::string_view kHideCursor = "\033[?25l";
inline constexpr std::string_view kShowCursor = "\033[?25h";
}  // namespace ansi

}  // namespace imgcachefs
