// Where the login for a registry comes from: the credentials file and nothing else, where it has
// one; else docker's config: the helper of this registry, what stands in the file, the helper for
// all registries. Where nobody knows one we are anonymous.
//
// A helper is asked when its answer is first needed, once for all who wait, and again when what it
// said was refused later on: the logins of some are good for hours only.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "fetch/credentials.h"
#include "fetch/docker_config.h"
#include "fetch/registry_login_record.h"
#include "fetch/registry_login_refusal.h"
#include "fetch/registry_login_secrets.h"
#include "fetch/shared_question.h"
#include "fetch/url.h"

namespace imgcachefs {

// A login, and what became of it.
struct HeldLogin {
  RegistrySecrets secrets;                      // empty: anonymous
  const void* helper = nullptr;                 // that said so; null: nobody did
  std::chrono::steady_clock::time_point since;  // when it did
  mutable LoginRecord record;
};

// Thread-safe.
class RegistryLoginSource {
 public:
  using Held = std::shared_ptr<const HeldLogin>;

  // kInvalid, naming the key, the file or the helper, when these cannot work.
  static Result<std::unique_ptr<RegistryLoginSource>> of(const Url& registry,
                                                         const Credentials& secrets,
                                                         std::optional<DockerConfig> docker);

  // Never null. kDenied: what stands there is none. kUnavailable, kTimeout, kProtocol: of a helper.
  // kCancelled.
  Result<Held> login(const std::string& repository, Patience patience, std::stop_token stop);
  // `held` was refused. Whether login() now has another one, or may have.
  bool refused(const HeldLogin& held);

 private:
  struct Helper {
    explicit Helper(HelperQuestion what)
        : question(std::move(what)), answer("docker-credential-" + question.name) {}
    const HelperQuestion question;
    SharedQuestion<Held> answer;
    HeldRefusal failure;
  };

  RegistryLoginSource(const Url& registry, std::optional<DockerConfig> docker)
      : registry_(registry), docker_(std::move(docker)) {}

  static Result<Held> ask(Helper& helper, Patience patience, std::stop_token stop);
  Held kept(RegistrySecrets secrets);

  const Url registry_;
  const std::optional<DockerConfig> docker_;
  Held fixed_;  // of the credentials file; null: it has none
  std::unique_ptr<Helper> own_, store_;

  std::mutex mutex_;        // protects what follows
  std::vector<Held> kept_;  // of docker's config, as many as it has
};

}  // namespace imgcachefs
