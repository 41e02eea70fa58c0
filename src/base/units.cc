#include "base/units.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <limits>
#include <optional>

namespace imgcachefs {
namespace {

// The number before the unit; `rest` is what follows it.
std::optional<uint64_t> leading_number(std::string_view text, std::string_view& rest) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  rest = text.substr(static_cast<size_t>(end - text.data()));
  return value;
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text) {
  std::string_view unit;
  auto number = leading_number(text, unit);
  unsigned shift = 0;
  bool known = unit.empty();
  if (unit.size() == 1) {
    constexpr std::string_view kUnits = "KMGT";
    const char upper = static_cast<char>(unit[0] & ~0x20);
    if (size_t at = kUnits.find(upper); at != std::string_view::npos) {
      shift = 10 * static_cast<unsigned>(at + 1);
      known = true;
    }
  }
  if (!number || !known || *number > (std::numeric_limits<uint64_t>::max() >> shift))
    return fail(ErrorKind::kInvalid,
                fmt::format("'{}' is not a size (a number, then K, M, G or T)", text));
  return *number << shift;
}

Result<std::chrono::seconds> parse_duration(std::string_view text) {
  std::string_view unit;
  auto number = leading_number(text, unit);
  uint64_t factor = 0;
  if (unit.empty() || unit == "s") factor = 1;
  if (unit == "m") factor = 60;
  if (unit == "h") factor = 3600;
  if (unit == "d") factor = 86400;
  // A century: clocks count nanoseconds, and run over after three.
  constexpr uint64_t kMost = 36525ULL * 86400;
  if (!number || factor == 0 || *number > kMost / factor)
    return fail(
        ErrorKind::kInvalid,
        fmt::format("'{}' is not a time of a century at most (a number, then s, m, h or d)", text));
  return std::chrono::seconds(*number * factor);
}

std::string human_size(uint64_t bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  // From where one decimal would be rounded up to "1024.0".
  while (value >= (unit == 0 ? 1024 : 1023.95) && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string rfc3339(WallTime time) {
  // Down to the second it lies in, before 1970 as well: to_time_t goes towards zero.
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                     fmt::gmtime(static_cast<std::time_t>(second.time_since_epoch().count())));
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  size_t at = 0;
  bool good = true;
  auto number = [&](size_t digits) {
    int value = 0;
    for (size_t end = at + digits; at < end; ++at) {
      if (at >= text.size() || text[at] < '0' || text[at] > '9') return good = false, 0;
      value = 10 * value + (text[at] - '0');
    }
    return value;
  };
  auto one_of = [&](std::string_view characters) {
    if (at >= text.size() || characters.find(text[at]) == std::string_view::npos)
      return good = false, '\0';
    return text[at++];
  };

  const int year = number(4);
  one_of("-");
  const int month = number(2);
  one_of("-");
  const int day = number(2);
  one_of("Tt ");
  const int hour = number(2);
  one_of(":");
  const int minute = number(2);
  one_of(":");
  const int second = number(2);
  std::chrono::nanoseconds part{0};
  if (at < text.size() && text[at] == '.') {
    const size_t first = ++at;
    for (int64_t unit = 100'000'000; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      part += std::chrono::nanoseconds((text[at] - '0') * unit);
      unit /= 10;
    }
    good = good && at > first;
  }
  std::chrono::minutes zone{0};
  if (const char sign = one_of("Zz+-"); sign == '+' || sign == '-') {
    const int hours = number(2);
    one_of(":");
    const int minutes = number(2);
    good = good && hours < 24 && minutes < 60;
    zone = std::chrono::minutes((sign == '-' ? -1 : 1) * (60 * hours + minutes));
  }

  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  // system_clock ends in 2262, and began in 1677. 60 is a leap second.
  if (!good || at != text.size() || !date.ok() || year < 1700 || year > 2255 || hour > 23 ||
      minute > 59 || second > 60)
    return std::nullopt;
  return WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) +
      std::chrono::minutes(minute) + std::chrono::seconds(second) + part - zone));
}

double to_unix(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

WallTime from_unix(double seconds) {
  // Others write these numbers too (Glance's database): what no clock can hold is cut to size, for
  // the conversion of a double that is out of range is undefined.
  constexpr double kMost = 9.0e9;  // the year 2255; system_clock ends in 2262
  seconds = std::isnan(seconds) ? 0 : std::clamp(seconds, -kMost, kMost);
  return WallTime(
      std::chrono::duration_cast<WallTime::duration>(std::chrono::duration<double>(seconds)));
}

WallTime wall_time(const struct timespec& time) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec)));
}

struct timespec to_timespec(WallTime time) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  const std::chrono::nanoseconds rest = time - second;
  return {static_cast<time_t>(second.time_since_epoch().count()), static_cast<long>(rest.count())};
}

}  // namespace imgcachefs
