// A real terminal (tmux's) of a given size with a command in it: what a person at it would see and
// do. Gone, with all that runs in it, with the object.
//
//     TerminalWindow window("imgcachectl -m /mnt top", {.columns = 80, .rows = 24});
//     EXPECT_TRUE(window.wait_for("hit rate"));
//     window.press("q");
//     EXPECT_TRUE(window.wait_for("ended with 0"));      // said when the command has ended
#pragma once

#include <map>
#include <string>
#include <vector>

#include "support/process.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

struct WindowSpec {
  size_t columns = 80, rows = 24;
  std::map<std::string, std::string> env = {};  // set beside what a terminal has
};

class TerminalWindow {
 public:
  // `command`: for sh. Throws std::runtime_error when there is no tmux.
  explicit TerminalWindow(const std::string& command, const WindowSpec& spec = {});
  ~TerminalWindow();
  TerminalWindow(const TerminalWindow&) = delete;
  TerminalWindow& operator=(const TerminalWindow&) = delete;

  // What it shows: `rows` lines, blanks at their ends left out.
  std::vector<std::string> lines() const;
  std::string text() const;
  std::string text_with_colours() const;  // with the escapes that colour it

  bool wait_for(const std::string& shown) const;  // false when it does not come in time
  bool wait_until_gone(const std::string& shown) const;
  bool on_other_screen() const;
  std::string processes_tty() const;  // for stty -F

  void type(const std::string& text);  // as it is
  void press(const std::string& key);  // as tmux calls it: "q", "Tab", "Enter", "C-c"
  void resize(size_t columns, size_t rows);

 private:
  CommandResult tmux(std::vector<std::string> args) const;

  TempDir dir_;
};

}  // namespace imgcachefs::test
