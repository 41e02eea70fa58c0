// The real docker-registry on loopback, for the life of the object, with all it stores in a
// directory of its own. It lets its manifests and blobs be deleted.
//
//     RegistryServer registry;                                            // open to all
//     RegistryServer registry({.user = "alice", .password = "alicepw"});  // Basic
//     RegistryServer registry({.token = {{.realm = ..., .certificate = ...}}});  // Bearer
//     RegistryServer registry({.redis = &redis});       // blob descriptors cached in that Redis
//     const std::string digest = registry.push_blob("team/vm", bytes);
//     registry.push_image("team/vm", "v1", {{.bytes = bytes, .title = "disk.raw"}});
//     ... "oci+" + registry.url() ...
//     EXPECT_EQ(registry.requests_of(digest).size(), 1u);
//
// What the methods do is done through its HTTP API, and throws std::runtime_error when it refuses;
// so does a start that fails. A start takes a fraction of a second.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "real/http_call.h"
#include "support/child_server.h"
#include "support/redis_server.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

struct RegistryToken {
  std::string realm;  // URL of the token server
  std::string service = "my-registry";
  std::string issuer = "test-issuer";
  std::string certificate;  // PEM file: of whoever signs the tokens
};

struct RegistryOptions {
  std::string user = {}, password = {};     // with Basic authentication; "": without
  std::optional<RegistryToken> token = {};  // with a token server
  const RedisServer* redis = nullptr;       // its blob descriptor cache; outlives this
  bool memory_cache = false;                // or that in its own memory
  // Blobs are answered with a redirection to this URL and their place below data_dir().
  std::string redirect = {};
  std::string config = {};  // further lines of its configuration, YAML at the outermost level
};

struct RegistryLayer {
  std::string bytes = {};
  std::string title = {};  // its annotation; "": none
  std::string media_type = "application/vnd.oci.image.layer.v1.tar";
};

struct RegistryRequest {
  std::string method, path, query;
  int status = 0;
  uint64_t sent = 0;  // bytes of the body
};

class RegistryServer {
 public:
  explicit RegistryServer(RegistryOptions options = {});

  uint16_t port() const { return port_; }
  std::string url() const;      // http://127.0.0.1:PORT
  std::string address() const;  // 127.0.0.1:PORT, as skopeo names it

  // The Authorization of the calls below. From the beginning it is that of `user`.
  void authorize(const std::string& authorization) { authorization_ = authorization; }

  // The digest of what was pushed, "sha256:...".
  std::string push_blob(const std::string& repository, const std::string& bytes);
  std::string push_blob_file(const std::string& repository, const std::string& file);
  // The same without a request, straight into its storage: for a thousand of them.
  std::string place_blob(const std::string& repository, const std::string& bytes);
  // `reference`: a tag, or the digest. Its media type is what it says itself.
  std::string push_manifest(const std::string& repository, const std::string& reference,
                            const nlohmann::json& manifest);
  // An OCI image manifest with these layers and a config, and all that it names.
  std::string push_image(const std::string& repository, const std::string& tag,
                         const std::vector<RegistryLayer>& layers);
  void tag(const std::string& repository, const std::string& reference, const std::string& tag);
  void remove_blob(const std::string& repository, const std::string& digest);
  void remove_manifest(const std::string& repository, const std::string& digest);

  // path: "/v2/...". Redirections are not followed.
  HttpReply call(const std::string& method, const std::string& path,
                 std::map<std::string, std::string> headers = {}) const;
  HttpReply blob(const std::string& method, const std::string& repository,
                 const std::string& digest) const;

  // To be truncated, harmed or removed; or shown by another server, for `redirect`.
  std::string data_dir() const { return dir_.file("data"); }
  std::string blob_file(const std::string& digest) const;

  // Requests that are over, in the order they ended. Of a long body the line may come a moment
  // after its last byte.
  std::vector<RegistryRequest> requests() const;
  // GET and HEAD of a blob, or those of one method.
  std::vector<RegistryRequest> requests_of(const std::string& digest,
                                           const std::string& method = {}) const;
  uint64_t sent_bytes(const std::string& digest) const;

  void stop() { server_.stop(); }
  void start();  // again, at the same port, with the same content
  std::string log() const;

 private:
  void write_config();

  const RegistryOptions options_;
  TempDir dir_;
  uint16_t port_ = 0;
  std::string authorization_;
  ChildServer server_;
};

// As a manifest names a blob or another manifest.
nlohmann::json descriptor(const std::string& media_type, const std::string& digest, uint64_t size);

}  // namespace imgcachefs::test
