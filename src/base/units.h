// Sizes, times and time stamps as people and JSON write them.
#pragma once

#include <time.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace imgcachefs {

using WallTime = std::chrono::system_clock::time_point;

Result<uint64_t> parse_size(std::string_view text);                  // "10G": 1024-based K M G T
Result<std::chrono::seconds> parse_duration(std::string_view text);  // "90", "5m", "1d": s m h d
std::string human_size(uint64_t bytes);                              // "1.5 GiB"
std::string rfc3339(WallTime time);                                  // "2026-11-20T07:27:43Z"
// RFC 3339 with a time zone, and parts of a second or none; nullopt for anything else, and for
// years that no clock of ours holds.
std::optional<WallTime> parse_rfc3339(std::string_view text);
double to_unix(WallTime time);  // seconds, as Glance's database has them
WallTime from_unix(double seconds);
// To the nanosecond, as file systems have it.
WallTime wall_time(const struct timespec& time);
struct timespec to_timespec(WallTime time);

}  // namespace imgcachefs
