// The logins of docker, podman, skopeo and their kin: docker's config.json, containers' auth.json
// (docker/cli: config file; containers-auth.json(5)).
//
//   {"auths": {"registry.example:5000": {"auth": "<base64 of user:password>"},
//              "https://index.docker.io/v1/": {"identitytoken": "..."},
//              "quay.example/team": {"username": "...", "password": "..."}},
//    "credHelpers": {"gcr.example": "gcloud"},  "credsStore": "secretservice"}
//
// A key is a host, as URL or not, or one with the beginning of a repository's name (auth.json).
// Docker Hub has many names; here it is "docker.io".
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "fetch/registry_login_secrets.h"
#include "fetch/url.h"

namespace imgcachefs {

// A program that knows a login: docker-credential-<name>, asked for `server`.
struct HelperQuestion {
  std::string name, server;
  bool operator==(const HelperQuestion&) const = default;
};

// Immutable once loaded.
class DockerConfig {
 public:
  // kInvalid, naming the file, never what stands in it; kNotFound when there is none.
  static Result<DockerConfig> load(const std::string& path);
  // The first file of `paths` that there is; nullopt: none.
  static Result<std::optional<DockerConfig>> first_of(const std::vector<std::string>& paths);

  // What stands in it for a repository ("": the registry itself); of several keys that fit, the
  // longest. nullopt: nothing does. kInvalid: what stands there is no login.
  Result<std::optional<RegistrySecrets>> login(const Url& registry,
                                               const std::string& repository) const;
  std::optional<HelperQuestion> helper(const Url& registry) const;  // of this very registry
  std::optional<HelperQuestion> store(const Url& registry) const;   // for whatever registry

  const std::string& path() const { return path_; }

 private:
  struct Entry {
    RegistrySecrets secrets;
    bool wrong = false;  // it is no login
  };

  std::string server_name(const Url& registry) const;

  std::string path_;
  std::map<std::string, Entry> logins_;            // by normal key
  std::map<std::string, std::string> keys_;        // of "auths" as written, by normal key
  std::map<std::string, HelperQuestion> helpers_;  // by normal key
  std::string store_;
};

// $REGISTRY_AUTH_FILE, $XDG_RUNTIME_DIR/containers/auth.json, $DOCKER_CONFIG/config.json,
// ~/.docker/config.json, in this order. `environment` gives a variable, "" for none.
std::vector<std::string> docker_config_places(
    const std::function<std::string(const char*)>& environment, const std::string& home);
// The same of this process. Reads the environment: call it before there are threads that change it.
std::vector<std::string> standard_docker_config_places();

}  // namespace imgcachefs
