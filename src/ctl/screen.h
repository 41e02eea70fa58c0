// The whole screen of a terminal, for a view that is drawn anew and anew.
#pragma once

#include <termios.h>

#include <optional>
#include <string>
#include <vector>

#include "ctl/terminal.h"

namespace imgcachefs {

// While it lives, the terminal shows its other screen, without a cursor, and gives keys as they are
// typed. In the end, however it comes, all is as it was: the first screen with what was on it too.
class Screen {
 public:
  Screen() { enter(); }
  ~Screen() { leave(); }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // For somebody else, for a while (the shell of who types ctrl-Z).
  void enter();
  void leave();

  // Lines no wider than the terminal; those below its last row are not shown. False: it is gone.
  bool draw(const std::vector<std::string>& lines, const Terminal& terminal);

  // The next key that was typed; nullopt: none, for now.
  std::optional<char> key();
  bool has_keys() const { return before_.has_value(); }  // standard input is a terminal
  bool keys_ended() const { return ended_; }

 private:
  std::optional<struct termios> before_;
  bool entered_ = false;
  bool ended_ = false;
};

}  // namespace imgcachefs
