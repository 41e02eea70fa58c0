#include "fetch/link_header.h"

#include <algorithm>

namespace imgcachefs {
namespace {

bool same_word(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// What is left of a header, taken from its front.
class LinkText {
 public:
  explicit LinkText(std::string_view text) : left_(text) {}

  bool take(char c) {
    skip_blanks();
    if (!left_.starts_with(c)) return false;
    left_.remove_prefix(1);
    return true;
  }
  // Up to `end`, which goes as well; nullopt when there is none.
  std::optional<std::string_view> take_until(char end) {
    const size_t at = left_.find(end);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view taken = left_.substr(0, at);
    left_.remove_prefix(at + 1);
    return taken;
  }
  std::string_view take_word() {
    skip_blanks();
    const std::string_view taken = left_.substr(0, left_.find_first_of(" \t;,=\""));
    left_.remove_prefix(taken.size());
    return taken;
  }
  // A word, or a quoted text; nullopt when the quotes do not end.
  std::optional<std::string> take_value() {
    if (!take('"')) return std::string(take_word());
    std::string value;
    while (!left_.empty() && left_.front() != '"') {
      if (left_.front() == '\\' && left_.size() > 1) left_.remove_prefix(1);
      value += left_.front();
      left_.remove_prefix(1);
    }
    if (!take('"')) return std::nullopt;
    return value;
  }

 private:
  void skip_blanks() {
    left_.remove_prefix(std::min(left_.find_first_not_of(" \t"), left_.size()));
  }
  std::string_view left_;
};

// A relation may have several names, with blanks between them.
bool has_word(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const std::string_view one = words.substr(0, words.find(' '));
    if (same_word(one, word)) return true;
    words.remove_prefix(std::min(one.size() + 1, words.size()));
  }
  return false;
}

}  // namespace

std::optional<std::string> link_target(std::string_view header, std::string_view rel) {
  LinkText text(header);
  for (;;) {
    while (text.take(',')) {
    }
    if (!text.take('<')) return std::nullopt;
    const auto target = text.take_until('>');
    if (!target) return std::nullopt;
    bool is_it = false, has_rel = false;
    while (text.take(';')) {
      const std::string_view name = text.take_word();
      if (!text.take('=')) continue;
      const auto value = text.take_value();
      if (!value) return std::nullopt;
      // Of several rel the first counts (section 3.3).
      if (same_word(name, "rel") && !has_rel) {
        has_rel = true;
        is_it = has_word(*value, rel);
      }
    }
    if (is_it) return std::string(*target);
    if (!text.take(',')) return std::nullopt;
  }
}

}  // namespace imgcachefs
