#include "fetch/oci_names.h"

#include <fmt/format.h>

#include <algorithm>

namespace imgcachefs {
namespace {

constexpr size_t kLongestRepository = 255, kLongestTag = 128;

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

// Between two runs of letters and digits.
bool is_separator(std::string_view text) {
  return text == "." || text == "_" || text == "__" ||
         (!text.empty() && text.find_first_not_of('-') == std::string_view::npos);
}

bool is_path_component(std::string_view text) {
  if (text.empty() || !is_lower_or_digit(text.front()) || !is_lower_or_digit(text.back()))
    return false;
  for (size_t at = 0; at < text.size();) {
    if (is_lower_or_digit(text[at])) {
      ++at;
      continue;
    }
    const size_t begin = at;
    while (!is_lower_or_digit(text[at])) ++at;  // the last one is
    if (!is_separator(text.substr(begin, at - begin))) return false;
  }
  return true;
}

bool is_tag_character(char c) {
  return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_';
}

}  // namespace

bool is_repository_name(std::string_view text) {
  if (text.size() > kLongestRepository) return false;
  for (;;) {
    const size_t slash = text.find('/');
    if (!is_path_component(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

bool is_tag_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestTag && is_tag_character(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_tag_character(c) || c == '.' || c == '-'; });
}

Result<Digest> parse_blob_digest(std::string_view text) {
  for (DigestAlgo algo : {DigestAlgo::kSha256, DigestAlgo::kSha512}) {
    const std::string_view name = to_string(algo);
    if (!text.starts_with(name) || text.substr(name.size(), 1) != ":") continue;
    const std::string_view hex = text.substr(name.size() + 1);
    if (hex.size() == 2 * digest_bytes(algo) &&
        hex.find_first_not_of("0123456789abcdef") == std::string_view::npos)
      return Digest{algo, std::string(hex)};
  }
  // Only what cannot harm a log line is repeated.
  const bool plain = text.size() <= 150 && std::all_of(text.begin(), text.end(),
                                                       [](char c) { return c > ' ' && c < 0x7f; });
  return fail(ErrorKind::kInvalid, plain ? fmt::format("'{}' is no sha256 or sha512 digest", text)
                                         : "what should be a digest is no sha256 or sha512 digest");
}

std::optional<Digest> digest_of(const ImageId& id) {
  auto digest = parse_blob_digest(id.str());
  if (!digest) return std::nullopt;
  return std::move(*digest);
}

ImageId id_of_blob(const Digest& digest) {
  return ImageId::parse(digest.tagged()).value();  // hex and a colon are always an ID
}

}  // namespace imgcachefs
