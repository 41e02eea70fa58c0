// Rows of text in columns that are as wide as they must be.
#pragma once

#include <string>
#include <vector>

namespace imgcachefs {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> cells);  // as many as there are columns
  std::string text() const;                  // with a line of titles; lines end with '\n'

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace imgcachefs
