#include "fetch/checksum_list.h"

#include <algorithm>
#include <cctype>

namespace imgcachefs {
namespace {

struct Line {
  std::string name;
  Digest digest;
};

std::optional<std::string> unescaped(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '\\') {
      out += name[i];
      continue;
    }
    if (++i == name.size()) return std::nullopt;
    switch (name[i]) {
      case '\\':
        out += '\\';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      default:
        return std::nullopt;
    }
  }
  return out;
}

// "<hash>  name"
std::optional<Line> gnu_line(std::string_view line, DigestAlgo algo) {
  const size_t hex_end = 2 * digest_bytes(algo);
  if (line.size() < hex_end + 2 || line[hex_end] != ' ') return std::nullopt;
  auto digest = Digest::parse(algo, line.substr(0, hex_end));
  if (!digest) return std::nullopt;
  std::string_view name = line.substr(hex_end + 1);
  if (name.size() > 1 && (name[0] == ' ' || name[0] == '*')) name.remove_prefix(1);
  return Line{std::string(name), *digest};
}

// "ALGO (name) = hash"; the name may hold anything, so its end is looked for from behind.
std::optional<Line> bsd_line(std::string_view line) {
  const size_t open = line.find(" (");
  const size_t close = line.rfind(") = ");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2)
    return std::nullopt;
  auto algo = parse_digest_algo(line.substr(0, open));
  if (!algo) return std::nullopt;
  auto digest = Digest::parse(*algo, line.substr(close + 4));
  if (!digest) return std::nullopt;
  return Line{std::string(line.substr(open + 2, close - open - 2)), *digest};
}

}  // namespace

ChecksumList ChecksumList::parse(std::string_view text, DigestAlgo algo) {
  ChecksumList list;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool escaped = line.starts_with('\\');
    if (escaped) line.remove_prefix(1);

    auto found = gnu_line(line, algo);
    if (!found) found = bsd_line(line);
    if (!found) continue;
    if (escaped) {
      auto name = unescaped(found->name);
      if (!name) continue;
      found->name = *name;
    }
    while (found->name.starts_with("./")) found->name.erase(0, 2);
    list.digests_.insert_or_assign(found->name, found->digest);
  }
  return list;
}

std::optional<Digest> ChecksumList::find(const std::string& name) const {
  auto it = digests_.find(name);
  return it == digests_.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace imgcachefs
