#include "real/registry_server.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <stdexcept>

#include "base/base64.h"
#include "support/checksum.h"
#include "support/process.h"

namespace imgcachefs::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr const char* kConfigType = "application/vnd.oci.image.config.v1+json";
constexpr const char* kAccept =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json";

CommandResult checked_run(const std::vector<std::string>& argv) {
  CommandResult result = run(argv);
  if (!result.ok()) throw std::runtime_error(argv[0] + ": " + result.describe());
  return result;
}

std::string htpasswd(const std::string& user, const std::string& password) {
  return checked_run({"htpasswd", "-Bbn", user, password}).out;  // it takes no other hash
}

}  // namespace

nlohmann::json descriptor(const std::string& media_type, const std::string& digest, uint64_t size) {
  return {{"mediaType", media_type}, {"digest", digest}, {"size", size}};
}

RegistryServer::RegistryServer(RegistryOptions options) : options_(std::move(options)) {
  fs::create_directory(data_dir());
  if (!options_.user.empty()) {
    dir_.write("htpasswd", htpasswd(options_.user, options_.password));
    authorization_ = "Basic " + base64_encode(options_.user + ":" + options_.password);
  }
  start_at_free_port([this](uint16_t port) {
    port_ = port;
    write_config();
    start();
  });
}

void RegistryServer::write_config() {
  std::string cache, auth, more;
  if (options_.memory_cache) cache = "  cache: {blobdescriptor: inmemory}\n";
  if (options_.redis != nullptr) {
    cache = "  cache: {blobdescriptor: redis}\n";
    more += fmt::format(
        "redis: {{addr: '{}', db: 0, dialtimeout: 5s, readtimeout: 5s, writetimeout: 5s}}\n",
        options_.redis->address());
  }
  if (!options_.user.empty())
    auth = fmt::format("auth: {{htpasswd: {{realm: basic-realm, path: '{}'}}}}\n",
                       dir_.file("htpasswd"));
  if (options_.token)
    auth = fmt::format(
        "auth: {{token: {{realm: '{}', service: '{}', issuer: '{}', rootcertbundle: '{}'}}}}\n",
        options_.token->realm, options_.token->service, options_.token->issuer,
        options_.token->certificate);
  if (!options_.redirect.empty())
    more +=
        fmt::format("middleware: {{storage: [{{name: redirect, options: {{baseurl: '{}'}}}}]}}\n",
                    options_.redirect);
  dir_.write("config.yml", fmt::format(R"(version: 0.1
log: {{level: info, accesslog: {{disabled: false}}}}
storage:
  filesystem: {{rootdirectory: '{0}'}}
  delete: {{enabled: true}}
{1}http:
  addr: 127.0.0.1:{2}
  secret: not-secret
  headers: {{X-Content-Type-Options: [nosniff]}}
{3}{4}{5})",
                                       data_dir(), cache, port_, auth, more, options_.config));
}

void RegistryServer::start() {
  server_.start({.argv = {"docker-registry", "serve", dir_.file("config.yml")},
                 .log = dir_.file("registry.log"),
                 .ready = [this] { return answers(port_); }});
}

std::string RegistryServer::url() const {
  return "http://" + address();
}

std::string RegistryServer::address() const {
  return fmt::format("127.0.0.1:{}", port_);
}

HttpReply RegistryServer::call(const std::string& method, const std::string& path,
                               std::map<std::string, std::string> headers) const {
  if (!authorization_.empty()) headers.emplace("Authorization", authorization_);
  return http({.method = method, .url = url() + path, .headers = std::move(headers)});
}

HttpReply RegistryServer::blob(const std::string& method, const std::string& repository,
                               const std::string& digest) const {
  return call(method, fmt::format("/v2/{}/blobs/{}", repository, digest));
}

std::string RegistryServer::push_blob(const std::string& repository, const std::string& bytes) {
  return push_blob_file(repository, dir_.write("blob", bytes));
}

std::string RegistryServer::place_blob(const std::string& repository, const std::string& bytes) {
  const std::string hex = hex_digest(bytes), digest = "sha256:" + hex;
  const fs::path link = fmt::format("{}/docker/registry/v2/repositories/{}/_layers/sha256/{}/link",
                                    data_dir(), repository, hex);
  fs::create_directories(link.parent_path());
  fs::create_directories(fs::path(blob_file(digest)).parent_path());
  std::ofstream(blob_file(digest), std::ios::binary) << bytes;
  std::ofstream(link) << digest;
  return digest;
}

std::string RegistryServer::push_blob_file(const std::string& repository, const std::string& file) {
  const std::string digest = "sha256:" + checked_run({"sha256sum", file}).out.substr(0, 64);
  std::map<std::string, std::string> headers;
  if (!authorization_.empty()) headers["Authorization"] = authorization_;
  const HttpReply begun = http_ok({.method = "POST",
                                   .url = fmt::format("{}/v2/{}/blobs/uploads/", url(), repository),
                                   .headers = headers});
  const std::string place = begun.headers.at("location");
  headers["Content-Type"] = "application/octet-stream";
  http_ok({.method = "PUT",
           .url = place + (place.find('?') == std::string::npos ? "?" : "&") + "digest=" + digest,
           .headers = headers,
           .upload_file = file});
  return digest;
}

std::string RegistryServer::push_manifest(const std::string& repository,
                                          const std::string& reference,
                                          const nlohmann::json& manifest) {
  std::map<std::string, std::string> headers = {
      {"Content-Type", manifest.value("mediaType", kManifestType)}};
  if (!authorization_.empty()) headers["Authorization"] = authorization_;
  return http_ok({.method = "PUT",
                  .url = fmt::format("{}/v2/{}/manifests/{}", url(), repository, reference),
                  .headers = headers,
                  .body = manifest.dump()})
      .headers.at("docker-content-digest");
}

std::string RegistryServer::push_image(const std::string& repository, const std::string& tag,
                                       const std::vector<RegistryLayer>& layers) {
  nlohmann::json diffs = nlohmann::json::array(), listed = nlohmann::json::array();
  for (const RegistryLayer& layer : layers) {
    auto entry =
        descriptor(layer.media_type, push_blob(repository, layer.bytes), layer.bytes.size());
    diffs.push_back(entry["digest"]);
    if (!layer.title.empty())
      entry["annotations"] = {{"org.opencontainers.image.title", layer.title}};
    listed.push_back(std::move(entry));
  }
  const std::string config = nlohmann::json{{"architecture", "amd64"},
                                            {"os", "linux"},
                                            {"config", nlohmann::json::object()},
                                            {"rootfs", {{"type", "layers"}, {"diff_ids", diffs}}}}
                                 .dump();
  return push_manifest(
      repository, tag,
      {{"schemaVersion", 2},
       {"mediaType", kManifestType},
       {"config", descriptor(kConfigType, push_blob(repository, config), config.size())},
       {"layers", listed}});
}

void RegistryServer::tag(const std::string& repository, const std::string& reference,
                         const std::string& tag) {
  const std::string path = fmt::format("/v2/{}/manifests/", repository);
  const HttpReply found = call("GET", path + reference, {{"Accept", kAccept}});
  if (found.status != 200) throw std::runtime_error(reference + ": " + found.body);
  std::map<std::string, std::string> headers = {{"Content-Type", found.headers.at("content-type")}};
  if (!authorization_.empty()) headers["Authorization"] = authorization_;
  http_ok({.method = "PUT", .url = url() + path + tag, .headers = headers, .body = found.body});
}

void RegistryServer::remove_blob(const std::string& repository, const std::string& digest) {
  const HttpReply reply = blob("DELETE", repository, digest);
  if (reply.status != 202) throw std::runtime_error(digest + ": " + reply.body);
}

void RegistryServer::remove_manifest(const std::string& repository, const std::string& digest) {
  const HttpReply reply = call("DELETE", fmt::format("/v2/{}/manifests/{}", repository, digest));
  if (reply.status != 202) throw std::runtime_error(digest + ": " + reply.body);
}

std::string RegistryServer::blob_file(const std::string& digest) const {
  const std::string hex = digest.substr(digest.find(':') + 1);
  return fmt::format("{}/docker/registry/v2/blobs/sha256/{}/{}/data", data_dir(), hex.substr(0, 2),
                     hex);
}

std::vector<RegistryRequest> RegistryServer::requests() const {
  // Apache's combined format, between lines of other kinds.
  static const std::regex line_format(
      R"re(^\S+ \S+ \S+ \[[^\]]*\] "(\S+) ([^ ?]*)\??(\S*) HTTP/[0-9.]+" (\d+) (\d+) .*)re");
  std::vector<RegistryRequest> found;
  std::istringstream lines(log());
  for (std::string line; std::getline(lines, line);) {
    std::smatch part;
    if (!std::regex_match(line, part, line_format)) continue;
    found.push_back({part[1], part[2], part[3], std::stoi(part[4]), std::stoull(part[5])});
  }
  return found;
}

std::vector<RegistryRequest> RegistryServer::requests_of(const std::string& digest,
                                                         const std::string& method) const {
  std::vector<RegistryRequest> found;
  for (RegistryRequest& request : requests()) {
    if (!request.path.ends_with("/blobs/" + digest)) continue;
    if (method.empty() ? request.method == "GET" || request.method == "HEAD"
                       : request.method == method)
      found.push_back(std::move(request));
  }
  return found;
}

uint64_t RegistryServer::sent_bytes(const std::string& digest) const {
  uint64_t sum = 0;
  for (const RegistryRequest& request : requests_of(digest, "GET")) sum += request.sent;
  return sum;
}

std::string RegistryServer::log() const {
  return read_file(dir_.file("registry.log"));
}

}  // namespace imgcachefs::test
