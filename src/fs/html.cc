#include "fs/html.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/base64.h"
#include "base/digest.h"

namespace imgcachefs::html {
namespace {

std::string bytes_of_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

constexpr double kHeight = 100;

std::string block(std::string_view kind, size_t place, double from_below, double height) {
  if (height <= 0) return {};
  return fmt::format(R"(<rect class="{}" x="{:.1f}" y="{:.1f}" width="0.8" height="{:.1f}"/>)",
                     kind, static_cast<double>(place) + 0.1, kHeight * (1 - from_below - height),
                     kHeight * height);
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  return out;
}

std::string source_hash(std::string_view text) {
  Hasher hasher(DigestAlgo::kSha256);
  hasher.update(std::as_bytes(std::span(text)));
  return fmt::format("'sha256-{}'", base64_encode(bytes_of_hex(hasher.finish().hex)));
}

std::string bar(uint64_t part, uint64_t whole, std::string_view label) {
  const double share =
      whole == 0 ? 0 : std::min(1.0, static_cast<double>(part) / static_cast<double>(whole));
  return fmt::format(
      R"(<svg class="bar" role="img" aria-label="{}" viewBox="0 0 100 1" preserveAspectRatio="none">)"
      R"(<rect class="rest" width="100" height="1"/><rect class="done" width="{:.2f}" height="1"/></svg>)",
      escaped(label), 100 * share);
}

std::string columns(const std::vector<Column>& columns, size_t places, std::string_view label) {
  std::string blocks;
  const size_t first = places - std::min(places, columns.size());
  for (size_t i = 0; i < std::min(places, columns.size()); ++i) {
    const Column& column = columns[columns.size() - std::min(places, columns.size()) + i];
    blocks += block("lower", first + i, 0, column.lower);
    blocks += block("upper", first + i, column.lower, column.upper);
    blocks += block("amount", first + i, 0, column.amount);
  }
  return fmt::format(
      R"(<svg class="columns" role="img" aria-label="{}" viewBox="0 0 {} {:.0f}" preserveAspectRatio="none">)"
      R"(<rect class="ground" width="{}" height="{:.0f}"/>{}</svg>)",
      escaped(label), places, kHeight, places, kHeight, blocks);
}

}  // namespace imgcachefs::html
