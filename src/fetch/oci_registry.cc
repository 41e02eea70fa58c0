#include "fetch/oci_registry.h"

#include <fmt/format.h>

#include "base/log.h"
#include "fetch/oci_blobs.h"
#include "fetch/oci_names.h"
#include "fetch/oci_tag.h"
#include "fetch/pull_leave.h"
#include "fetch/registry_client.h"
#include "fetch/registry_names.h"
#include "fetch/url.h"

namespace imgcachefs {
namespace {

class OciRegistry final : public Upstream, public Repositories {
 public:
  OciRegistry(Url url, RegistryConfig config)
      : platform_(std::move(config.platform)),
        client_(std::move(url), std::move(config.auth), config.http, config.memory.stats),
        blobs_(client_, std::move(config.layer_info), config.memory.blob_places),
        leave_(config.believe) {}

  Result<ImageInfo> stat(const ImageId& id, Patience patience, std::stop_token stop) override;
  Result<std::vector<CatalogueEntry>> list(Patience patience, std::stop_token stop) override;
  Repositories* repositories() override { return this; }
  Result<std::optional<Digest>> digest(const ImageInfo& info, bool fresh,
                                       std::stop_token stop) override;
  Result<ReadOutcome> read(const ImageInfo& info, ByteRange range, ByteSink& sink,
                           std::stop_token stop) override;
  const UpstreamStats& stats() const override { return client_.stats(); }

  Result<std::vector<std::string>> catalogue(Patience patience, std::stop_token stop) override;
  Result<std::vector<std::string>> tags(const std::string& repository, Patience patience,
                                        std::stop_token stop) override;
  Result<Tag> tag(const std::string& repository, const std::string& tag, Patience patience,
                  std::stop_token stop) override;
  Result<ImageInfo> stat(const std::string& repository, const ImageId& id, Patience patience,
                         std::stop_token stop) override;

 private:
  // What an answer about a repository says of the leave to pull it.
  template <typename Answer>
  Result<Answer> noted(const std::string& repository, Result<Answer> answer) {
    if (answer)
      leave_.granted(repository);
    else if (answer.error().kind == ErrorKind::kDenied)
      leave_.refused(repository);
    return answer;
  }

  // kNotFound: the registry knows no tags of it, which says nothing.
  Result<HttpAnswer> ask_leave(const std::string& repository, const Limits& limits) {
    return client_.ask({.target = fmt::format("/v2/{}/tags/list?n=1", repository),
                        .scope = pull_scope(repository)},
                       limits);
  }

  const Platform platform_;
  RegistryClient client_;
  OciBlobs blobs_;
  PullLeave leave_;
};

tl::unexpected<Error> registry_call_cancelled() {
  return fail(ErrorKind::kCancelled, "registry: cancelled");
}

tl::unexpected<Error> no_repository() {
  return fail(ErrorKind::kNotFound, "no repository can have that name");
}

tl::unexpected<Error> no_digest(const ImageId& id) {
  return fail(ErrorKind::kNotFound, fmt::format("'{}' is not the digest of a blob", id.str()));
}

Result<ImageInfo> OciRegistry::stat(const ImageId& id, Patience patience, std::stop_token stop) {
  if (stop.stop_requested()) return registry_call_cancelled();
  const auto blob = digest_of(id);
  if (!blob) return no_digest(id);
  return blobs_.stat(*blob, {.patience = patience, .stop = std::move(stop)});
}

Result<std::vector<CatalogueEntry>> OciRegistry::list(Patience, std::stop_token stop) {
  if (stop.stop_requested()) return registry_call_cancelled();
  return std::vector<CatalogueEntry>();
}

Result<std::optional<Digest>> OciRegistry::digest(const ImageInfo& info, bool fresh,
                                                  std::stop_token stop) {
  if (stop.stop_requested()) return registry_call_cancelled();
  auto blob = digest_of(info.id);
  if (!blob) return no_digest(info.id);
  // After a mismatch: what was read was as long as it was said to be, so that may be what is wrong.
  if (fresh) blobs_.forget(*blob);
  return blob;
}

Result<ReadOutcome> OciRegistry::read(const ImageInfo& info, ByteRange range, ByteSink& sink,
                                      std::stop_token stop) {
  const auto blob = digest_of(info.id);
  if (!blob) return no_digest(info.id);
  return blobs_.read(*blob, info, range, sink, std::move(stop));
}

Result<std::vector<std::string>> OciRegistry::catalogue(Patience patience, std::stop_token stop) {
  return list_names(client_,
                    {.path = "/v2/_catalog",
                     .scope = "registry:catalog:*",
                     .field = "repositories",
                     .is_name = &is_repository_name,
                     .untold = {404, 405, 410, 501}},
                    patience, std::move(stop));
}

Result<std::vector<std::string>> OciRegistry::tags(const std::string& repository, Patience patience,
                                                   std::stop_token stop) {
  if (!is_repository_name(repository)) return no_repository();
  return noted(repository, list_names(client_,
                                      {.path = fmt::format("/v2/{}/tags/list", repository),
                                       .scope = pull_scope(repository),
                                       .field = "tags",
                                       .is_name = &is_tag_name},
                                      patience, std::move(stop)));
}

Result<Tag> OciRegistry::tag(const std::string& repository, const std::string& tag,
                             Patience patience, std::stop_token stop) {
  if (!is_repository_name(repository)) return no_repository();
  if (!is_tag_name(tag)) return fail(ErrorKind::kNotFound, "no tag can have that name");
  auto found = noted(repository, find_tag(client_, platform_, repository, tag,
                                          {.patience = patience, .stop = std::move(stop)}));
  if (!found) return found;
  // That a manifest names it is no proof that the repository has it: only a place to ask.
  for (const TaggedImage& image : found->images)
    if (auto blob = digest_of(image.id)) blobs_.hint(repository, *blob);
  return found;
}

Result<ImageInfo> OciRegistry::stat(const std::string& repository, const ImageId& id,
                                    Patience patience, std::stop_token stop) {
  if (stop.stop_requested()) return registry_call_cancelled();
  if (!is_repository_name(repository)) return no_repository();
  const auto blob = digest_of(id);
  if (!blob) return no_digest(id);
  const Limits limits{.patience = patience, .stop = std::move(stop)};
  if (auto known = blobs_.known_in(repository, *blob)) {
    if (leave_.is_believed(repository)) return std::move(*known);
    // Of many blobs that others know, none is asked about: one question is for all of them.
    auto leave = noted(repository, ask_leave(repository, limits));
    if (leave) return std::move(*known);
    // Some let their blobs be pulled and not their tags be listed.
    if (leave.error().kind != ErrorKind::kNotFound && leave.error().kind != ErrorKind::kDenied)
      return fail(leave.error());
  }
  // One request tells all there is to know: the leave, whether it is there, and its size.
  return noted(repository, blobs_.look(repository, *blob, limits));
}

}  // namespace

Result<std::unique_ptr<Upstream>> open_registry(RegistryConfig config) {
  auto url = Url::parse(config.url);
  const std::string shown = redacted_url(config.url);
  if (!url) return fail(url.error().in(shown));
  if (!url->user_info.empty() || url->path != "/" || !url->query.empty())
    return fail(ErrorKind::kInvalid,
                shown + ": a registry is a scheme, a host and perhaps a port, and nothing else");
  if (auto readable = config.http.check_files(); !readable) return fail(readable.error());
  return std::make_unique<OciRegistry>(std::move(*url), std::move(config));
}

}  // namespace imgcachefs
