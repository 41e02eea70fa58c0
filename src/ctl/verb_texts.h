// What is said of each verb in the help: one line among the others, and a page of its own.
#pragma once

#include <span>
#include <string_view>

namespace imgcachefs {

struct VerbText {
  std::string_view name, group;
  std::string_view summary;   // one line
  std::string_view usage;     // the verb and what belongs to it
  std::string_view what;      // lines: what it does, and what that does to the cache
  std::string_view examples;  // lines, indented
};

std::span<const VerbText> verb_texts();  // in the order of the help

}  // namespace imgcachefs
