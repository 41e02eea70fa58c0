// Text as it may be shown: names, paths and what an upstream answered come from others.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace imgcachefs {

// What would move the cursor, colour the screen, end the line or turn the writing round is escaped:
// \x1b, \u202e. So are bytes that are no UTF-8.
std::string shown(std::string_view text);

// Columns that shown text takes on a terminal: two for a wide character, none for a combining one.
size_t width(std::string_view text);

// At most so many columns of it, the last of them `ellipsis` when something is missing.
std::string shortened(std::string_view text, size_t columns, std::string_view ellipsis);

// With blanks at its end, or cut, to be exactly so wide.
std::string fitted(std::string_view text, size_t columns, std::string_view ellipsis);

// "imgcachectl: MESSAGE" as one line on stderr.
void complain(std::string_view message);

}  // namespace imgcachefs
