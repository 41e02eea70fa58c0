#include "support/fake_registry.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "support/checksum.h"

namespace imgcachefs::test {

using nlohmann::json;

const std::string kOciManifest = "application/vnd.oci.image.manifest.v1+json";
const std::string kOciIndex = "application/vnd.oci.image.index.v1+json";
const std::string kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
const std::string kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";

namespace {

Behaviour registry_error(int status, const std::string& code, const std::string& message) {
  Behaviour behaviour = Behaviour::of_status(status);
  behaviour.body =
      json{{"errors", {{{"code", code}, {"message", message}, {"detail", nullptr}}}}}.dump();
  return behaviour;
}

Behaviour page_not_found() {
  Behaviour behaviour = Behaviour::of_status(404);
  behaviour.body = "404 page not found\n";
  return behaviour;
}

// The value of a parameter; "" when it is not there.
std::string parameter(const std::string& target, const std::string& name) {
  const size_t mark = target.find('?');
  std::string_view query =
      mark == std::string::npos ? std::string_view() : std::string_view(target).substr(mark + 1);
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    if (one.starts_with(name + "=")) return std::string(one.substr(name.size() + 1));
  }
  return "";
}

}  // namespace

std::string digest_of_bytes(const std::string& bytes, DigestAlgo algo) {
  return fmt::format("{}:{}", to_string(algo), hex_digest(bytes, algo));
}

FakeRegistry::FakeRegistry(FaultServerOptions options) : server_(std::move(options)) {
  answer_again();
}

void FakeRegistry::answer_again() {
  server_.on_request([this](const Request& request) { return answer(request); });
}

std::string FakeRegistry::push(const std::string& repository, const std::string& bytes,
                               DigestAlgo algo) {
  const std::string digest = digest_of_bytes(bytes, algo);
  Content content = Content::of(bytes);
  content.last_modified = "";
  content.etag = "\"" + digest + "\"";
  content.headers = {{"Docker-Content-Digest", digest}, {"Cache-Control", "max-age=31536000"}};
  server_.put(blob(repository, digest).path, std::move(content));
  std::lock_guard lock(mutex_);
  repositories_[repository].blobs[digest] = bytes.size();
  if (store_ != nullptr) store_->put("/store/" + digest, Content::of(bytes));
  return digest;
}

void FakeRegistry::remove(const std::string& repository, const std::string& digest) {
  std::lock_guard lock(mutex_);
  repositories_[repository].blobs.erase(digest);
  server_.remove(blob(repository, digest).path);
}

std::string FakeRegistry::tag(const std::string& repository, const std::string& tag,
                              const json& manifest) {
  return this->tag(repository, tag, manifest.dump(), manifest.value("mediaType", kOciManifest));
}

std::string FakeRegistry::tag(const std::string& repository, const std::string& tag,
                              const std::string& text, const std::string& media_type) {
  const std::string digest = digest_of_bytes(text);
  Content content = Content::of(text);
  content.last_modified = "";
  content.etag = "\"" + digest + "\"";
  content.content_type = media_type;
  content.headers = {{"Docker-Content-Digest", digest}};
  std::lock_guard lock(mutex_);
  Repository& in = repositories_[repository];
  for (const std::string& reference : {digest, tag}) {
    if (reference.empty()) continue;
    server_.put(manifest(repository, reference).path, content);
    in.manifests[reference] = media_type;
  }
  if (!tag.empty() && std::find(in.tags.begin(), in.tags.end(), tag) == in.tags.end())
    in.tags.push_back(tag);
  return digest;
}

json FakeRegistry::image_of(const std::vector<std::pair<std::string, std::string>>& layers,
                            const std::string& media_type) {
  const std::string empty = "{}";
  json manifest = {{"schemaVersion", 2},
                   {"mediaType", media_type},
                   {"config",
                    {{"mediaType", "application/vnd.oci.empty.v1+json"},
                     {"digest", digest_of_bytes(empty)},
                     {"size", empty.size()}}},
                   {"layers", json::array()}};
  for (const auto& [title, digest] : layers) {
    json layer = {{"mediaType", "application/vnd.oci.image.layer.v1.tar+gzip"},
                  {"digest", digest},
                  {"size", 1}};
    if (!title.empty()) layer["annotations"] = {{"org.opencontainers.image.title", title}};
    manifest["layers"].push_back(std::move(layer));
  }
  return manifest;
}

json FakeRegistry::index_of(const std::vector<std::pair<std::string, std::string>>& manifests,
                            const std::string& media_type) {
  json index = {{"schemaVersion", 2}, {"mediaType", media_type}, {"manifests", json::array()}};
  for (const auto& [platform, digest] : manifests) {
    json one = {{"mediaType", kOciManifest}, {"digest", digest}, {"size", 1}};
    if (!platform.empty()) {
      const size_t first = platform.find('/'), second = platform.find('/', first + 1);
      one["platform"] = {{"os", platform.substr(0, first)},
                         {"architecture", platform.substr(first + 1, second - first - 1)}};
      if (second != std::string::npos) one["platform"]["variant"] = platform.substr(second + 1);
    }
    index["manifests"].push_back(std::move(one));
  }
  return index;
}

void FakeRegistry::basic(const std::string& authorization) {
  std::lock_guard lock(mutex_);
  basic_ = authorization;
}

void FakeRegistry::token(const std::string& token, const std::set<std::string>& scopes) {
  std::lock_guard lock(mutex_);
  bearer_ = true;
  tokens_[token].insert(scopes.begin(), scopes.end());
}

void FakeRegistry::revoke(const std::string& token) {
  std::lock_guard lock(mutex_);
  tokens_.erase(token);
}

void FakeRegistry::refuse(const std::string& repository, int status) {
  std::lock_guard lock(mutex_);
  repositories_[repository].refused = status;
}

void FakeRegistry::page(size_t most) {
  std::lock_guard lock(mutex_);
  page_ = most;
}

void FakeRegistry::no_ranges() {
  std::lock_guard lock(mutex_);
  ranges_ = false;
}

void FakeRegistry::redirect(FaultServer* store) {
  std::lock_guard lock(mutex_);
  store_ = store;
}

void FakeRegistry::judged_by(Judge judge) {
  std::lock_guard lock(mutex_);
  judge_ = std::move(judge);
}

std::optional<std::string> FakeRegistry::challenge(const std::string& scope,
                                                   const std::string& authorization) const {
  if (judge_) return judge_(scope, authorization);
  if (!basic_.empty() && authorization != basic_) return "Basic realm=\"basic-realm\"";
  if (!bearer_) return std::nullopt;
  std::string value = "Bearer realm=\"http://127.0.0.1:9/token\",service=\"my-registry\"";
  if (!scope.empty()) value += ",scope=\"" + scope + "\"";
  constexpr std::string_view kBearer = "Bearer ";
  if (!authorization.starts_with(kBearer)) return value;
  const auto token = tokens_.find(authorization.substr(kBearer.size()));
  if (token == tokens_.end()) return value + ",error=\"invalid_token\"";
  if (scope.empty() || token->second.contains(scope)) return std::nullopt;
  return value + ",error=\"insufficient_scope\"";
}

Behaviour FakeRegistry::answer(const Request& request) {
  std::lock_guard lock(mutex_);
  const std::string& path = request.path;
  if (path == "/v2") return {.status = 301, .redirect = "/v2/"};
  if (!path.starts_with("/v2/")) return page_not_found();

  // "/v2/<repository>/<kind>/<reference>"
  std::string repository, kind, reference, scope;
  for (const char* one : {"/blobs/", "/manifests/", "/tags/"}) {
    const size_t at = path.rfind(one);
    if (at == std::string::npos || at < 4) continue;
    kind = one;
    repository = path.substr(4, at - 4);
    reference = path.substr(at + kind.size());
    scope = "repository:" + repository + ":pull";
  }
  if (path == "/v2/_catalog") scope = "registry:catalog:*";
  if (auto challenge = this->challenge(scope, request.header("authorization"))) {
    Behaviour refused = registry_error(401, "UNAUTHORIZED", "authentication required");
    refused.headers = {{"Www-Authenticate", *challenge}};
    return refused;
  }
  if (path == "/v2/") {
    Behaviour here = Behaviour::of_status(200);
    here.body = "{}";
    return here;
  }
  if (path == "/v2/_catalog") {
    std::vector<std::string> names;
    for (const auto& [name, in] : repositories_) names.push_back(name);
    return list(request, "repositories", names, page_ == 0 ? 1000 : page_);
  }
  if (kind.empty()) return page_not_found();
  auto found = repositories_.find(repository);
  const Repository nothing;
  const Repository& in = found == repositories_.end() ? nothing : found->second;
  if (in.refused != 0) return registry_error(in.refused, "DENIED", "requested access is denied");
  if (kind == "/tags/")
    return found == repositories_.end()
               ? registry_error(404, "NAME_UNKNOWN", "repository name not known to registry")
               : list(request, "tags", in.tags, page_);
  if (kind == "/blobs/")
    return in.blobs.contains(reference)
               ? send_blob(request, reference)
               : registry_error(404, "BLOB_UNKNOWN", "blob unknown to registry");
  auto manifest = in.manifests.find(reference);
  if (manifest == in.manifests.end())
    return registry_error(404, "MANIFEST_UNKNOWN", "manifest unknown");
  if (request.header("accept").find(manifest->second) == std::string::npos)
    return registry_error(404, "MANIFEST_UNKNOWN",
                          "manifest found, but accept header does not support it");
  return {};
}

Behaviour FakeRegistry::send_blob(const Request& request, const std::string& digest) const {
  if (store_ != nullptr)
    return {.status = 307, .redirect = store_->url("/store/" + digest + "?signature=s3cret")};
  Behaviour right;
  right.ignore_range = right.no_accept_ranges = !ranges_;
  uint64_t first = 0;
  const std::string range = request.range();
  if (ranges_ && range.starts_with("bytes=")) {
    std::from_chars(range.data() + 6, range.data() + range.size(), first);
    const auto path = request.path;
    for (const auto& [name, in] : repositories_)
      if (auto at = in.blobs.find(digest);
          at != in.blobs.end() && path == blob(name, digest).path && first >= at->second)
        right.content_length = std::to_string(at->second);
  }
  return right;
}

Behaviour FakeRegistry::list(const Request& request, const char* field,
                             const std::vector<std::string>& names, size_t page) const {
  const std::string last = parameter(request.target, "last"), n = parameter(request.target, "n");
  size_t most = page == 0 ? names.size() : page;
  if (page != 0 && !n.empty()) most = std::min<size_t>(most, std::stoul(n));
  std::vector<std::string> sent;
  bool more = false;
  for (const std::string& name : names) {
    if (page != 0 && !last.empty() && name <= last) continue;
    more = sent.size() == most;
    if (more) break;
    sent.push_back(name);
  }
  Behaviour answer = Behaviour::of_status(200);
  answer.body = json{{field, sent}}.dump();
  if (more && !sent.empty())
    answer.headers = {
        {"Link", fmt::format("<{}?last={}&n={}>; rel=\"next\"", request.path, sent.back(), most)}};
  return answer;
}

}  // namespace imgcachefs::test
