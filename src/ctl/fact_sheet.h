// A page of facts for people: a line "name: value" each, in groups, the values below one another.
#pragma once

#include <string>
#include <vector>

#include "ctl/terminal.h"

namespace imgcachefs {

class FactSheet {
 public:
  // Both as others wrote them: they are escaped here. An empty value is shown as "-".
  void add(std::string name, std::string value, Style style = Style::kPlain);
  void new_group();
  // Lines end with '\n'. Nothing is cut: who looks for a fact wants all of it.
  std::string text(const Terminal& terminal) const;

 private:
  struct Fact {
    std::string name, value;  // both empty: a new group begins
    Style style;
  };
  std::vector<Fact> facts_;
};

}  // namespace imgcachefs
