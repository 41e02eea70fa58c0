#include "fetch/content_range.h"

#include <charconv>
#include <limits>

namespace imgcachefs {

std::optional<uint64_t> parse_content_length(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view span = text.substr(0, slash), total = text.substr(slash + 1);

  ContentRange out;
  if (total != "*") {
    out.total = parse_content_length(total);
    if (!out.total) return std::nullopt;
  }
  if (span == "*") return out.total ? std::optional(out) : std::nullopt;

  const size_t dash = span.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  auto first = parse_content_length(span.substr(0, dash));
  auto last = parse_content_length(span.substr(dash + 1));
  if (!first || !last || *last < *first || *last == std::numeric_limits<uint64_t>::max())
    return std::nullopt;
  if (out.total && *last >= *out.total) return std::nullopt;
  out.range = ByteRange{*first, *last + 1};
  return out;
}

}  // namespace imgcachefs
