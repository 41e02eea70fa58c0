// How far something long is, on stderr: a bar that is redrawn on a terminal; elsewhere a line now
// and then, and none with --json.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "ctl/terminal.h"

namespace imgcachefs {

struct ProgressFigures {
  std::string image;                         // that is worked on; "": none is yet
  uint64_t image_bytes = 0, image_size = 0;  // of that one
  size_t done = 0, count = 1;                // images, of all that were asked for
  uint64_t bytes = 0, size = 0;              // of all of them whose size is known
  bool more = false;                         // there are some whose size is not
  uint64_t rate = 0;                         // bytes per second; 0: not known
};

// When it will be over, as far as one can tell.
std::optional<std::chrono::seconds> time_left(uint64_t bytes, uint64_t size, uint64_t rate);

// "image [####------]  40 %  1.2 GiB of 3.0 GiB  120.0 MiB/s  0:15 left", no wider than that.
std::string progress_bar_line(const ProgressFigures& figures, const Terminal& terminal);
// The same for a log.
std::string progress_plain_line(const ProgressFigures& figures);

class Progress {
 public:
  explicit Progress(bool json);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  bool due() const;  // show() would show something now
  void show(const ProgressFigures& figures);
  void clear();  // before anything else is printed

 private:
  const bool redrawn_;  // on a terminal
  const bool quiet_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace imgcachefs
