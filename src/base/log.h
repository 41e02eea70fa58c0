// The program's log. spdlog's default logger is the one process-wide object we accept: it is the
// library's own registry, set up once by main() before any thread starts, and lines are written
// from everywhere with spdlog::info(...) and its kin.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "base/result.h"

namespace imgcachefs {

struct LogConfig {
  std::string level = "info";  // trace debug info warning error critical off
  std::string file;            // empty: stderr, or syslog when `background`
  bool background = false;
};

bool is_log_level(const std::string& level);
Status start_log(const LogConfig& config);

// While lines are written, from any thread: takes over the level, and opens the file anew, also
// under another name: the old one may have been moved away (logrotate). Whether there is a file at
// all stays as it was. An error leaves everything as it was.
Status reopen_log(const LogConfig& config);

// `url` without user information and with the values of its query blanked: what may be logged.
std::string redacted_url(const std::string& url);

}  // namespace imgcachefs
