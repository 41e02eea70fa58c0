#include "fetch/http_date.h"

#include <array>
#include <ctime>
#include <iomanip>
#include <locale>
#include <sstream>

namespace imgcachefs {

std::optional<WallTime> parse_http_date(const std::string& text) {
  constexpr std::array kForms = {
      "%a, %d %b %Y %H:%M:%S GMT",  // IMF-fixdate, the one that is sent today
      "%A, %d-%b-%y %H:%M:%S GMT",  // RFC 850
      "%a %b %d %H:%M:%S %Y",       // asctime
  };
  for (const char* form : kForms) {
    std::istringstream in(text);
    in.imbue(std::locale::classic());  // month names are English whatever the user's locale
    std::tm parts{};
    in >> std::get_time(&parts, form);
    if (in.fail()) continue;
    const std::time_t seconds = ::timegm(&parts);
    if (seconds < 0) return std::nullopt;
    return std::chrono::system_clock::from_time_t(seconds);
  }
  return std::nullopt;
}

}  // namespace imgcachefs
