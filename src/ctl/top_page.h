// What `top` shows of a snapshot.
#pragma once

#include <string>
#include <vector>

#include "ctl/terminal.h"
#include "ctl/top_snapshot.h"

namespace imgcachefs {

// Lines that fit the terminal, in number too: of what there is no room for, it says how much.
// `hint`: the last line. Where it is no terminal: all of it, in 80 columns.
std::vector<std::string> top_page(const TopSnapshot& snapshot, const Terminal& terminal,
                                  const std::string& hint = "");

}  // namespace imgcachefs
