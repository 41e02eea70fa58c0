// Rows of text in columns that are as wide as they must be, and no wider than the terminal.
#pragma once

#include <string>
#include <vector>

#include "ctl/terminal.h"

namespace imgcachefs {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
    // Where there is no room for all: the one with the highest goes first, those with 0 never do.
    unsigned goes = 0;
    // Before any goes, this one may be shortened to so many columns; 0: never.
    size_t least = 0;
  };
  struct Cell {
    Cell(std::string text, Style style = Style::kPlain) : text(std::move(text)), style(style) {}
    Cell(const char* text) : text(text) {}

    std::string text;  // as others wrote it: it is escaped here
    Style style = Style::kPlain;
  };

  // The first column says what the row is about: it is shortened when all else is gone.
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<Cell> cells);  // as many as there are columns
  bool empty() const { return rows_.empty(); }
  // With a line of titles; lines end with '\n'.
  std::string text(const Terminal& terminal) const;

 private:
  std::vector<size_t> widths(size_t limit) const;  // 0: the column goes

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace imgcachefs
