// Times as people say them.
#pragma once

#include <chrono>
#include <string>

#include "base/units.h"

namespace imgcachefs {

// "just now", "3 minutes ago", "2 days ago"; of what is still to come, "in 5 minutes".
std::string age_text(WallTime then, WallTime now);

// A time of RFC 3339, and how long ago that was: "2026-11-20T04:44:02Z (2 days ago)". What is none
// stays as it is.
std::string time_text(const std::string& rfc3339);

// "0:15", "1:02:03", "2d 03h"
std::string duration_text(std::chrono::seconds duration);

}  // namespace imgcachefs
