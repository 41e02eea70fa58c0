#include "ctl/terminal.h"

#include <fmt/format.h>
#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>

namespace imgcachefs {
namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

size_t number_in(const char* name, size_t otherwise) {
  const std::string_view text = variable(name);
  size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool good = error == std::errc() && end == text.data() + text.size() && value > 0;
  return good ? value : otherwise;
}

bool locale_is_utf8() {
  const locale_t locale = ::newlocale(LC_CTYPE_MASK, "", nullptr);
  if (locale == nullptr) return false;
  const bool utf8 = std::string_view(::nl_langinfo_l(CODESET, locale)) == "UTF-8";
  ::freelocale(locale);
  return utf8;
}

std::string_view code(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kTitle:
      return "1";
    case Style::kFaint:
      return "2";
    case Style::kGood:
      return "32";
    case Style::kWarning:
      return "33";
    case Style::kBad:
      return "31";
  }
  return "";
}

}  // namespace

std::string Terminal::styled(Style style, std::string_view text) const {
  if (!colour || style == Style::kPlain || text.empty()) return std::string(text);
  return fmt::format("\033[{}m{}\033[0m", code(style), text);
}

Terminal terminal_of(int fd) {
  Terminal terminal;
  terminal.utf8 = locale_is_utf8();
  terminal.is_one = ::isatty(fd) == 1;
  if (!terminal.is_one) return terminal;
  struct winsize size {};
  const bool told = ::ioctl(fd, TIOCGWINSZ, &size) == 0;
  terminal.columns = told && size.ws_col > 0 ? size.ws_col : number_in("COLUMNS", 80);
  terminal.rows = told && size.ws_row > 0 ? size.ws_row : number_in("LINES", 24);
  terminal.moves = !variable("TERM").empty() && variable("TERM") != "dumb";
  terminal.colour = terminal.moves && variable("NO_COLOR").empty();
  return terminal;
}

}  // namespace imgcachefs
