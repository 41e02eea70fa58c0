#include "ctl/human_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

namespace imgcachefs {
namespace {

struct Unit {
  const char* name;
  int64_t seconds;
  int64_t until;  // seconds from which on the next one says enough
};

constexpr int64_t kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;
constexpr std::array kUnits = {
    Unit{"second", 1, kMinute},           Unit{"minute", kMinute, kHour},
    Unit{"hour", kHour, 2 * kDay},        Unit{"day", kDay, 60 * kDay},
    Unit{"month", 30 * kDay, 730 * kDay},
};
constexpr Unit kYears = {"year", 365 * kDay, 0};

}  // namespace

std::string age_text(WallTime then, WallTime now) {
  const int64_t ago = std::chrono::floor<std::chrono::seconds>(now - then).count();
  const int64_t span = std::abs(ago);
  if (span < 2) return "just now";
  Unit unit = kYears;
  for (auto candidate = kUnits.rbegin(); candidate != kUnits.rend(); ++candidate)
    if (span < candidate->until) unit = *candidate;
  const int64_t count = span / unit.seconds;
  const std::string text = fmt::format("{} {}{}", count, unit.name, count == 1 ? "" : "s");
  return ago > 0 ? text + " ago" : "in " + text;
}

std::string time_text(const std::string& rfc3339) {
  const auto then = parse_rfc3339(rfc3339);
  if (!then) return rfc3339;
  return fmt::format("{} ({})", rfc3339, age_text(*then, std::chrono::system_clock::now()));
}

std::string duration_text(std::chrono::seconds duration) {
  const int64_t seconds = std::max<int64_t>(duration.count(), 0);
  if (seconds >= kDay) return fmt::format("{}d {:02}h", seconds / kDay, seconds % kDay / kHour);
  if (seconds >= kHour)
    return fmt::format("{}:{:02}:{:02}", seconds / kHour, seconds % kHour / kMinute, seconds % 60);
  return fmt::format("{}:{:02}", seconds / kMinute, seconds % 60);
}

}  // namespace imgcachefs
