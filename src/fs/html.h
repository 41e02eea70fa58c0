// Small things that HTML is made of.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace imgcachefs::html {

// Text from outside, for between tags and in quoted attributes.
std::string escaped(std::string_view text);

// What a Content-Security-Policy calls an inline script or style: 'sha256-...'.
std::string source_hash(std::string_view text);

// A bar that is filled to `part` of `whole`; `label` says so in words, for who does not see it.
std::string bar(uint64_t part, uint64_t whole, std::string_view label);

// One column of a chart, from below: `lower` of its height, and then `upper` (or `amount`, alone);
// together 1 at most. Each is a class of the page's style.
struct Column {
  double lower = 0, upper = 0, amount = 0;
};
// The newest at the right; where there are fewer than `places`, the left is empty.
std::string columns(const std::vector<Column>& columns, size_t places, std::string_view label);

}  // namespace imgcachefs::html
