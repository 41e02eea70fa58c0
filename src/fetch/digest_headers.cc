#include "fetch/digest_headers.h"

#include <string>

#include "base/text.h"

namespace imgcachefs {
namespace {

// The order of DigestAlgo is the order of strength.
void keep_stronger(std::optional<Digest>& best, std::string_view algo_name,
                   std::string_view base64) {
  // "SHA" is SHA-1 in RFC 3230; names we do not know (adler32, id-sha-256, unixsum) are passed
  // over.
  auto algo =
      algo_name == "sha" || algo_name == "SHA" ? DigestAlgo::kSha1 : parse_digest_algo(algo_name);
  if (!algo || (best && best->algo >= *algo)) return;
  if (auto digest = Digest::from_base64(*algo, base64)) best = *digest;
}

// The members of a comma-separated list: name, value. A base64 value may end in '='.
template <typename Take>
void for_each_member(std::string_view list, Take take) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    const std::string_view member = trimmed(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    if (const size_t equals = member.find('='); equals != std::string_view::npos)
      take(trimmed(member.substr(0, equals)), trimmed(member.substr(equals + 1)));
  }
}

}  // namespace

std::optional<Digest> digest_of_headers(const HttpHead& head) {
  std::optional<Digest> best;
  // A dictionary of byte sequences (RFC 8941): sha-256=:base64:, parameters may follow.
  if (auto repr = head.header("repr-digest"))
    for_each_member(*repr, [&](std::string_view name, std::string_view value) {
      const size_t end = value.find(':', 1);
      if (value.starts_with(':') && end != std::string_view::npos)
        keep_stronger(best, name, value.substr(1, end - 1));
    });
  if (auto digest = head.header("digest"))
    for_each_member(*digest, [&](std::string_view name, std::string_view value) {
      keep_stronger(best, name, value);
    });
  if (auto md5 = head.header("content-md5"); md5 && head.status == 200)
    keep_stronger(best, "md5", trimmed(*md5));
  return best;
}

}  // namespace imgcachefs
