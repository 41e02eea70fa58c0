#include "ctl/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/units.h"

namespace imgcachefs {
namespace {

constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::seconds kNowAndThen{10};

}  // namespace

Progress::Progress(bool json)
    : terminal_(::isatty(STDERR_FILENO) == 1), quiet_(json && !terminal_) {}

bool Progress::due() const {
  const auto since = std::chrono::steady_clock::now() - last_;
  return !quiet_ && (terminal_ ? since >= kRedraw : since >= kNowAndThen);
}

void Progress::show(const std::string& line) {
  if (!due()) return;
  last_ = std::chrono::steady_clock::now();
  if (terminal_)
    fmt::print(stderr, "\r\033[K{}", line);
  else
    fmt::print(stderr, "{}\n", line);
  std::fflush(stderr);
  drawn_ = terminal_;
}

void Progress::clear() {
  if (!drawn_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

std::string progress_text(uint64_t bytes, uint64_t of, uint64_t rate) {
  const uint64_t percent =
      of == 0 ? 0
              : static_cast<uint64_t>(100.0 * static_cast<double>(bytes) / static_cast<double>(of));
  return fmt::format("{} of {} ({} %), {}/s", human_size(bytes), human_size(of),
                     std::min<uint64_t>(percent, 100), human_size(rate));
}

}  // namespace imgcachefs
