#include "ctl/table.h"

#include <algorithm>
#include <numeric>

#include "ctl/shown_text.h"

namespace imgcachefs {
namespace {

constexpr size_t kBetween = 2;  // blanks from column to column

size_t total(const std::vector<size_t>& widths) {
  const size_t sum = std::accumulate(widths.begin(), widths.end(), size_t{0});
  const auto there = std::count_if(widths.begin(), widths.end(), [](size_t w) { return w > 0; });
  return sum + kBetween * static_cast<size_t>(there - 1);
}

}  // namespace

void Table::add(std::vector<Cell> cells) {
  for (Cell& cell : cells) cell.text = shown(cell.text);
  rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::widths(size_t limit) const {
  std::vector<size_t> wanted;
  for (size_t i = 0; i < columns_.size(); ++i) {
    wanted.push_back(width(columns_[i].title));
    for (const auto& row : rows_) wanted[i] = std::max(wanted[i], width(row[i].text));
  }
  std::vector<size_t> widths = wanted;
  while (limit > 0 && total(widths) > limit) {
    for (size_t i = 1; i < columns_.size() && total(widths) > limit; ++i)
      if (columns_[i].least > 0 && widths[i] > columns_[i].least)
        widths[i] -= std::min(total(widths) - limit, widths[i] - columns_[i].least);
    if (total(widths) <= limit) break;
    size_t first = 0;
    for (size_t i = 1; i < columns_.size(); ++i)
      if (widths[i] > 0 && columns_[i].goes > columns_[first].goes) first = i;
    if (first == 0) {
      widths[0] -= std::min(total(widths) - limit, widths[0] - 1);
      break;
    }
    // With the room that this makes, what was shortened may not have to be.
    wanted[first] = 0;
    widths = wanted;
  }
  return widths;
}

std::string Table::text(const Terminal& terminal) const {
  const std::vector<size_t> fit = widths(terminal.columns);
  std::string out;
  auto line = [&](auto cell_of) {
    std::string padding;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (fit[i] == 0) continue;
      const Cell cell = cell_of(i);
      const std::string text = shortened(cell.text, fit[i], terminal.ellipsis());
      const std::string blanks(fit[i] - width(text), ' ');
      const bool left = columns_[i].align == Align::kLeft;
      out += padding + (left ? "" : blanks) + terminal.styled(cell.style, text);
      padding = (left ? blanks : "") + std::string(kBetween, ' ');
    }
    out += '\n';
  };
  line([&](size_t i) { return Cell(columns_[i].title, Style::kTitle); });
  for (const auto& row : rows_) line([&](size_t i) { return row[i]; });
  return out;
}

}  // namespace imgcachefs
