#include "ctl/fact_sheet.h"

#include <algorithm>

#include "ctl/shown_text.h"

namespace imgcachefs {

void FactSheet::add(std::string name, std::string value, Style style) {
  facts_.push_back({shown(name) + ":", value.empty() ? "-" : shown(value), style});
}

void FactSheet::new_group() {
  if (!facts_.empty()) facts_.push_back({"", "", Style::kPlain});
}

std::string FactSheet::text(const Terminal& terminal) const {
  size_t widest = 0;
  for (const Fact& fact : facts_) widest = std::max(widest, width(fact.name));
  std::string out;
  for (const Fact& fact : facts_) {
    if (!fact.name.empty())
      out += terminal.styled(Style::kFaint, fact.name) +
             std::string(widest + 1 - width(fact.name), ' ') +
             terminal.styled(fact.style, fact.value);
    out += '\n';
  }
  return out;
}

}  // namespace imgcachefs
