// What the daemon costs, under the names that every Prometheus client has for it.
#pragma once

#include <cstdint>

namespace imgcachefs {

struct ProcessFigures {
  double cpu_seconds = 0;  // user and system
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t open_fds = 0;
  uint64_t max_fds = 0;
  uint64_t threads = 0;
  double start_time = 0;  // seconds since 1970
};

// Of this process, from /proc/self: proc(5). What cannot be read there is 0.
ProcessFigures process_figures();

}  // namespace imgcachefs
