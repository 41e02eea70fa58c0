#include "ctl/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "base/units.h"
#include "ctl/bar.h"
#include "ctl/human_time.h"
#include "ctl/shown_text.h"

namespace imgcachefs {
namespace {

constexpr std::chrono::milliseconds kRedraw{200};
constexpr std::chrono::seconds kNowAndThen{5};
constexpr size_t kLeastBar = 12, kMostBar = 42;

// How much of the whole is done, as `part` of `of`. By images where not all sizes are known.
struct Share {
  uint64_t part = 0, of = 0;
};

Share share_of(const ProgressFigures& figures) {
  if (!figures.more) return {figures.bytes, figures.size};
  return {100 * figures.done, 100 * figures.count};
}

// What is known of it beside its share, the most important first.
std::vector<std::string> details(const ProgressFigures& figures) {
  std::vector<std::string> texts;
  if (const auto left = time_left(figures.bytes, figures.size, figures.rate); left && !figures.more)
    texts.push_back(duration_text(*left) + " left");
  if (figures.rate > 0) texts.push_back(human_size(figures.rate) + "/s");
  if (figures.size > 0)
    texts.push_back(human_size(figures.bytes) + " of " + human_size(figures.size));
  if (texts.empty() && figures.more && figures.count == 1) texts.push_back("waiting");
  return texts;
}

// "[3/5] image 12 %": of several, which one and how far that one is.
std::string label(const ProgressFigures& figures, size_t columns, std::string_view ellipsis) {
  const std::string name = shown(figures.image.empty() ? "waiting" : figures.image);
  if (figures.count == 1) return shortened(name, columns, ellipsis);
  const std::string number =
      fmt::format("[{}/{}] ", std::min(figures.done + 1, figures.count), figures.count);
  std::string percent;
  if (!figures.image.empty())
    percent = fmt::format(" {} %", percent_of(figures.image_bytes, figures.image_size));
  const size_t taken = number.size() + percent.size();
  return shortened(
      number + shortened(name, columns > taken ? columns - taken : 0, ellipsis) + percent, columns,
      ellipsis);
}

}  // namespace

std::optional<std::chrono::seconds> time_left(uint64_t bytes, uint64_t size, uint64_t rate) {
  if (rate == 0 || size == 0) return std::nullopt;
  const uint64_t missing = size > bytes ? size - bytes : 0;
  return std::chrono::seconds(missing / rate + (missing % rate > 0 ? 1 : 0));
}

std::string progress_bar_line(const ProgressFigures& figures, const Terminal& terminal) {
  // A terminal goes on to the next line when its last column is written to; and who types ctrl-C
  // sees "^C" behind it.
  const size_t room = std::max<size_t>(terminal.columns, 4) - 3;
  const Share share = share_of(figures);
  const std::string percent =
      fmt::format("{:3} %", share.of == 0 ? 0 : percent_of(share.part, share.of));
  std::vector<std::string> right = details(figures);
  const auto taken = [&] {
    size_t sum = 1 + percent.size();
    for (const std::string& text : right) sum += 2 + text.size();
    return sum;
  };
  // What is known beside the share gives way, the least important first: a name says more.
  const size_t name = std::min<size_t>(width(label(figures, room, terminal.ellipsis())), 24);
  while (!right.empty() && taken() + 1 + kLeastBar + name > room) right.pop_back();
  const size_t left = room > taken() + 1 + kLeastBar ? room - taken() - 1 - kLeastBar : 0;
  if (left < 8)  // too little for a bar
    return shortened(label(figures, room > 7 ? room - 7 : 0, terminal.ellipsis()) + " " + percent,
                     room, "");
  std::string line = label(figures, left, terminal.ellipsis());
  const size_t columns = std::min(room - width(line) - 1 - taken(), kMostBar);
  line += " " +
          terminal.styled(Style::kGood, bar(share.part, std::max<uint64_t>(share.of, 1), columns)) +
          " " + percent;
  for (auto text = right.rbegin(); text != right.rend(); ++text) line += "  " + *text;
  return line;
}

std::string progress_plain_line(const ProgressFigures& figures) {
  const Share share = share_of(figures);
  std::string line = label(figures, SIZE_MAX, "") + ": ";
  if (figures.count > 1 && !figures.image.empty()) line += "all ";
  line += fmt::format("{} %", share.of == 0 ? 0 : percent_of(share.part, share.of));
  const std::vector<std::string> texts = details(figures);
  for (auto text = texts.rbegin(); text != texts.rend(); ++text) line += ", " + *text;
  return line;
}

Progress::Progress(bool json)
    : redrawn_(terminal_of(STDERR_FILENO).moves), quiet_(json && !redrawn_) {}

bool Progress::due() const {
  const auto since = std::chrono::steady_clock::now() - last_;
  return !quiet_ && (redrawn_ ? since >= kRedraw : since >= kNowAndThen);
}

void Progress::show(const ProgressFigures& figures) {
  if (!due()) return;
  last_ = std::chrono::steady_clock::now();
  if (redrawn_)  // its size is asked for anew: a window may be made smaller meanwhile
    fmt::print(stderr, "{}{}", ansi::kClearLine,
               progress_bar_line(figures, terminal_of(STDERR_FILENO)));
  else
    fmt::print(stderr, "{}\n", progress_plain_line(figures));
  std::fflush(stderr);
  drawn_ = redrawn_;
}

void Progress::clear() {
  if (!drawn_) return;
  fmt::print(stderr, "{}", ansi::kClearLine);
  std::fflush(stderr);
  drawn_ = false;
}

}  // namespace imgcachefs
