// Which parts of an image are present, drawn: a character is some bytes, a line some characters.
#pragma once

#include <string>

#include "ctl/presence.h"
#include "ctl/terminal.h"

namespace imgcachefs {

struct PresenceGrid {
  uint64_t cell = 0;   // bytes that a character stands for: whole chunks, a power of two of them
  size_t columns = 0;  // characters a line: a power of two, so that lines begin at round offsets
};
// For at most 16 lines that are no wider than that.
PresenceGrid presence_grid(const Presence& presence, size_t columns);

// The lines, each with its offset before it and its percentage behind it. Nothing for an image of 0
// bytes.
std::string presence_drawing(const Presence& presence, const PresenceGrid& grid,
                             const Terminal& terminal);

}  // namespace imgcachefs
