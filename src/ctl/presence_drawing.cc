#include "ctl/presence_drawing.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.h"
#include "ctl/bar.h"

namespace imgcachefs {
namespace {

constexpr uint64_t kMostLines = 16;
constexpr size_t kOffset = 10, kPercent = 4;  // "1008.0 MiB", "100%"
constexpr uint64_t kNoMapsChunk = 64 << 10;

char mark(uint64_t present, uint64_t bytes) {
  if (present == bytes) return '#';
  return present > 0 ? '+' : '.';
}

Style style_of(char mark) {
  if (mark == '#') return Style::kGood;
  return mark == '+' ? Style::kWarning : Style::kFaint;
}

// Marks in their colours, told once for all that follow one another.
std::string coloured(const std::string& marks, const Terminal& terminal) {
  std::string out;
  for (size_t i = 0; i < marks.size();) {
    const size_t end = std::min(marks.find_first_not_of(marks[i], i), marks.size());
    out += terminal.styled(style_of(marks[i]), marks.substr(i, end - i));
    i = end;
  }
  return out;
}

}  // namespace

PresenceGrid presence_grid(const Presence& presence, size_t columns) {
  PresenceGrid grid;
  const size_t beside = kOffset + 1 + 1 + kPercent;
  grid.columns = 4;
  while (beside + 2 * grid.columns <= columns) grid.columns *= 2;
  grid.cell = presence.chunk_size.value_or(kNoMapsChunk);
  const uint64_t most = kMostLines * grid.columns;
  while ((presence.size + grid.cell - 1) / grid.cell > most) grid.cell *= 2;
  return grid;
}

std::string presence_drawing(const Presence& presence, const PresenceGrid& grid,
                             const Terminal& terminal) {
  std::string out;
  const uint64_t line = grid.cell * grid.columns;
  for (uint64_t begin = 0; begin < presence.size; begin += line) {
    const uint64_t end = std::min(begin + line, presence.size);
    std::string marks;
    for (uint64_t at = begin; at < end; at += grid.cell) {
      const ByteRange bytes = {at, std::min(at + grid.cell, end)};
      marks += mark(presence.present_bytes(bytes), bytes.size());
    }
    const unsigned percent = percent_of(presence.present_bytes({begin, end}), end - begin);
    out +=
        fmt::format("{:>{}} {}{} {:>3}%\n", human_size(begin), kOffset, coloured(marks, terminal),
                    std::string(grid.columns - marks.size(), ' '), percent);
  }
  return out;
}

}  // namespace imgcachefs
