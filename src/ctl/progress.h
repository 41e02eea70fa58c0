// How far something long is, on stderr: one line that is redrawn on a terminal; elsewhere a line
// now and then, and none with --json.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace imgcachefs {

class Progress {
 public:
  explicit Progress(bool json);
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  bool due() const;  // show() would show something now
  void show(const std::string& line);
  void clear();  // before anything else is printed

 private:
  const bool terminal_;
  const bool quiet_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// "1.5 GiB of 3.0 GiB (50 %), 120.0 MiB/s"
std::string progress_text(uint64_t bytes, uint64_t of, uint64_t rate);

}  // namespace imgcachefs
