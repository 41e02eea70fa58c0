// A registry made of a FaultServer: the OCI distribution API as the real docker-registry answers,
// trap by trap, and on top of it whatever FaultServer can do wrong.
//
//   FakeRegistry registry;
//   const std::string blob = registry.push("team/vm", bytes);                // "sha256:..."
//   registry.tag("team/vm", "latest", registry.image_of({{"disk.qcow2", blob}}));
//   registry.server().fault({.cut_after = 1000}, FakeRegistry::blob("team/vm", blob));
//
// What the real one (2.8.2) was seen to do and this does as well: an ETag that is the digest, no
// Last-Modified; 404 BLOB_UNKNOWN also for unknown repositories; 416 with the blob's whole length
// for its Content-Length; 404 to who does not accept a manifest's type; a catalogue in pages with a
// relative Link; all tags at once, whatever `n` says; 401 with a challenge, and never 403; 307 to a
// store. Every method may be called from any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "support/fault_server.h"

namespace imgcachefs::test {

extern const std::string kOciManifest, kOciIndex, kDockerManifest, kDockerList;

// "sha256:<hex>"
std::string digest_of_bytes(const std::string& bytes, DigestAlgo algo = DigestAlgo::kSha256);

class FakeRegistry {
 public:
  explicit FakeRegistry(FaultServerOptions options = {});

  FaultServer& server() { return server_; }
  // After server().clear_faults(), which makes it a plain FaultServer.
  void answer_again();
  std::string url() const { return server_.url(""); }
  static Match blob(const std::string& repository, const std::string& digest) {
    return {"GET", "/v2/" + repository + "/blobs/" + digest};
  }
  static Match blob_head(const std::string& repository, const std::string& digest) {
    return {"HEAD", "/v2/" + repository + "/blobs/" + digest};
  }
  static Match manifest(const std::string& repository, const std::string& reference) {
    return {"GET", "/v2/" + repository + "/manifests/" + reference};
  }
  static Match tags(const std::string& repository) {
    return {"GET", "/v2/" + repository + "/tags/list"};
  }
  static Match catalogue() { return {"GET", "/v2/_catalog"}; }

  // Blobs. The digest.
  std::string push(const std::string& repository, const std::string& bytes,
                   DigestAlgo algo = DigestAlgo::kSha256);
  void remove(const std::string& repository, const std::string& digest);

  // Manifests. The digest; `tag` "": it has none.
  std::string tag(const std::string& repository, const std::string& tag,
                  const nlohmann::json& manifest);
  std::string tag(const std::string& repository, const std::string& tag, const std::string& text,
                  const std::string& media_type);
  // A manifest whose layers are blobs, by their titles ("": none).
  static nlohmann::json image_of(const std::vector<std::pair<std::string, std::string>>& layers,
                                 const std::string& media_type = kOciManifest);
  // An index of manifests, by their platforms ("": none), "os/arch[/variant]".
  static nlohmann::json index_of(const std::vector<std::pair<std::string, std::string>>& manifests,
                                 const std::string& media_type = kOciIndex);

  // Who is let in. Before either of the first two is called everybody is.
  void basic(const std::string& authorization);  // this header is wanted
  void token(const std::string& token, const std::set<std::string>& scopes);  // good for these
  void revoke(const std::string& token);
  // Or who a token server lets in: the challenge for whom it does not, nullopt for whom it does.
  using Judge = std::function<std::optional<std::string>(const std::string& scope,
                                                         const std::string& authorization)>;
  void judged_by(Judge judge);
  void refuse(const std::string& repository, int status);  // every request about it; 0: no more

  void page(size_t most);             // names in an answer, of tags too
  void no_ranges();                   // of blobs
  void redirect(FaultServer* store);  // blobs are there; null: here

 private:
  Behaviour answer(const Request& request);
  Behaviour list(const Request& request, const char* field, const std::vector<std::string>& names,
                 size_t page) const;
  Behaviour send_blob(const Request& request, const std::string& digest) const;
  std::optional<std::string> challenge(const std::string& scope,
                                       const std::string& authorization) const;

  mutable std::mutex mutex_;  // protects all below but server_
  struct Repository {
    std::map<std::string, size_t> blobs;           // sizes by digest
    std::map<std::string, std::string> manifests;  // media types by tag and by digest
    std::vector<std::string> tags;
    int refused = 0;
  };
  std::map<std::string, Repository> repositories_;
  std::string basic_;
  bool bearer_ = false;
  std::map<std::string, std::set<std::string>> tokens_;
  Judge judge_;
  size_t page_ = 0;  // 0: as the real one
  bool ranges_ = true;
  FaultServer* store_ = nullptr;
  FaultServer server_;
};

}  // namespace imgcachefs::test
