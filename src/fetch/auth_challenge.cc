#include "fetch/auth_challenge.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace imgcachefs {
namespace {

constexpr size_t kLongestLine = 16 << 10;
constexpr size_t kMostChallenges = 16;
constexpr size_t kMostParams = 32;

bool is_alnum_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_token_char(char c) {  // RFC 9110 section 5.6.2
  return is_alnum_char(c) ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

bool is_token68_char(char c) {
  return is_alnum_char(c) ||
         (c != '\0' && std::string_view("-._~+/").find(c) != std::string_view::npos);
}

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

class ChallengeParser {
 public:
  explicit ChallengeParser(std::string_view text) : left_(text.substr(0, kLongestLine)) {}

  std::vector<AuthChallenge> parse() {
    for (;;) {
      while (take(',') || blanks()) continue;
      if (left_.empty()) break;
      const std::string_view name = while_in(is_token_char);
      if (name.empty()) {
        pass_over();
        continue;
      }
      const bool blank = blanks();
      if (take('='))
        param(name);
      else if (!begin(name, blank))
        break;
    }
    return std::move(found_);
  }

 private:
  bool take(char c) {
    if (!left_.starts_with(c)) return false;
    left_.remove_prefix(1);
    return true;
  }

  bool blanks() {
    const size_t end = std::min(left_.find_first_not_of(" \t"), left_.size());
    left_.remove_prefix(end);
    return end > 0;
  }

  template <typename In>
  std::string_view while_in(In in) {
    size_t end = 0;
    while (end < left_.size() && in(left_[end])) ++end;
    const std::string_view taken = left_.substr(0, end);
    left_.remove_prefix(end);
    return taken;
  }

  // To the next comma that is in no quotes.
  void pass_over() {
    while (!left_.empty() && !left_.starts_with(',')) {
      if (left_.starts_with('"'))
        quoted();
      else
        left_.remove_prefix(1);
    }
  }

  // False: enough.
  bool begin(std::string_view scheme, bool blank) {
    if (found_.size() == kMostChallenges) return false;
    found_.push_back({.scheme = lowered(scheme)});
    if (!blank) {
      if (!left_.empty() && !left_.starts_with(',')) pass_over();
      return true;
    }
    // A token68 is known by nothing behind it: "abc==" and "abc" are, "abc=x" is a parameter.
    const std::string_view before = left_;
    const std::string_view text = while_in(is_token68_char);
    const std::string_view padding = while_in([](char c) { return c == '='; });
    const std::string_view all = before.substr(0, text.size() + padding.size());
    blanks();
    if (!text.empty() && (left_.empty() || left_.starts_with(',')))
      found_.back().token68 = all;
    else
      left_ = before;
    return true;
  }

  void param(std::string_view name) {
    blanks();
    std::optional<std::string> value;
    if (left_.starts_with('"'))
      value = quoted();
    else
      value = while_in([](char c) { return c != ',' && c != ' ' && c != '\t' && c != '"'; });
    if (!left_.empty() && !left_.starts_with(',') && !left_.starts_with(' ') &&
        !left_.starts_with('\t'))
      pass_over();
    if (!value || found_.empty() || found_.back().params.size() == kMostParams) return;
    found_.back().params.emplace(lowered(name), std::move(*value));
  }

  // nullopt: it has no end; then there is no knowing what is in it and what comes after.
  std::optional<std::string> quoted() {
    left_.remove_prefix(1);
    std::string out;
    while (!left_.empty()) {
      char c = left_.front();
      left_.remove_prefix(1);
      if (c == '"') return out;
      if (c == '\\') {
        if (left_.empty()) break;
        c = left_.front();
        left_.remove_prefix(1);
      }
      out += c;
    }
    return std::nullopt;
  }

  std::string_view left_;
  std::vector<AuthChallenge> found_;
};

}  // namespace

const std::string& AuthChallenge::get(const std::string& name) const {
  static const std::string none;
  auto it = params.find(name);
  return it == params.end() ? none : it->second;
}

std::vector<AuthChallenge> parse_challenges(std::string_view line) {
  return ChallengeParser(line).parse();
}

std::vector<AuthChallenge> challenges_of(const HttpHead& head) {
  std::vector<AuthChallenge> all;
  for (const auto& [name, value] : head.headers) {
    if (name != "www-authenticate") continue;
    for (AuthChallenge& one : parse_challenges(value))
      if (all.size() < kMostChallenges) all.push_back(std::move(one));
  }
  return all;
}

}  // namespace imgcachefs
