#include "fetch/oci_tag.h"

#include <fmt/format.h>

#include <span>

#include "base/log.h"
#include "fetch/oci_names.h"

namespace imgcachefs {
namespace {

constexpr int kMostIndexes = 3;  // one in another

Status check_digest(const std::string& text, const Digest& expected) {
  Hasher hasher(expected.algo);
  hasher.update(std::as_bytes(std::span(text)));
  const Digest is = hasher.finish();
  if (is == expected) return {};
  return fail(ErrorKind::kProtocol,
              fmt::format("the manifest is {} and should be {}", is.tagged(), expected.tagged()));
}

Result<HttpAnswer> get_manifest(RegistryClient& client, const std::string& repository,
                                const std::string& reference, const Limits& limits) {
  auto answer = client.ask({.target = fmt::format("/v2/{}/manifests/{}", repository, reference),
                            .scope = pull_scope(repository),
                            .headers = {{"Accept", manifest_media_types()}},
                            .body_limit = kLongestManifest},
                           limits);
  if (!answer) return fail(answer.error());
  auto wrong = [&](const Error& error) {
    return fail(ErrorKind::kProtocol,
                fmt::format("{}: {}", redacted_url(answer->head.url), error.message));
  };
  std::string named = reference;
  if (is_tag_name(reference)) named = answer->head.header("docker-content-digest").value_or("");
  if (named.empty()) return answer;  // not every registry says it
  const auto digest = parse_blob_digest(named);
  if (!digest) return wrong(digest.error());
  if (auto right = check_digest(answer->body, *digest); !right) return wrong(right.error());
  return answer;
}

}  // namespace

Result<Tag> find_tag(RegistryClient& client, const Platform& platform,
                     const std::string& repository, const std::string& tag, const Limits& limits) {
  std::string reference = tag;
  for (int indexes = 0;; ++indexes) {
    auto answer = get_manifest(client, repository, reference, limits);
    if (!answer) return fail(answer.error());
    const std::string shown = redacted_url(answer->head.url);
    auto parsed = parse_manifest(answer->body, answer->head.header("content-type").value_or(""));
    if (!parsed) return fail(parsed.error().in(shown));
    if (const auto* manifest = std::get_if<OciManifest>(&*parsed))
      return Tag{std::move(answer->body), manifest->images()};
    if (indexes == kMostIndexes)
      return fail(ErrorKind::kProtocol, shown + ": an index in an index in an index in an index");
    auto chosen = std::get<OciIndex>(*parsed).choose(platform);
    if (!chosen) return fail(chosen.error().in(shown));
    reference = chosen->digest.tagged();
  }
}

}  // namespace imgcachefs
