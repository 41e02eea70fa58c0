#include "ctl/screen.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace imgcachefs {
namespace {

bool put(const std::string& text) {
  return std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
}

}  // namespace

void Screen::enter() {
  if (entered_) return;
  struct termios now {};
  if (::tcgetattr(STDIN_FILENO, &now) == 0) {
    before_ = now;
    // Signals still come of ctrl-C and ctrl-Z: who holds them back decides.
    now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    now.c_cc[VMIN] = 0;  // a read never waits
    now.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &now);
  }
  put(std::string(ansi::kOtherScreen).append(ansi::kHideCursor));
  entered_ = true;
}

void Screen::leave() {
  if (!entered_) return;
  entered_ = false;
  put(std::string(ansi::kShowCursor).append(ansi::kFirstScreen));
  // What was typed meanwhile was meant for us, not for the shell.
  if (before_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &*before_);
}

bool Screen::draw(const std::vector<std::string>& lines, const Terminal& terminal) {
  // Over what is there, and in one piece: nothing flickers.
  std::string out(ansi::kHome);
  for (size_t i = 0; i < lines.size() && i < terminal.rows; ++i) {
    if (i > 0) out += "\r\n";
    out.append(ansi::kClearRest).append(lines[i]);
  }
  if (lines.size() < terminal.rows) out.append("\r\n").append(ansi::kClearBelow);
  return put(out);
}

std::optional<char> Screen::key() {
  if (!before_ || ended_) return std::nullopt;
  char typed = 0;
  const ssize_t n = ::read(STDIN_FILENO, &typed, 1);
  if (n == 1) return typed;
  // 0 is "nothing for now" here, and so is an interruption.
  if (n < 0 && errno != EAGAIN && errno != EINTR) ended_ = true;
  return std::nullopt;
}

}  // namespace imgcachefs
