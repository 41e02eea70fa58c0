// The upstream a SOURCE means, made with the options that concern it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "fetch/clouds_yaml.h"
#include "fetch/credentials.h"
#include "fetch/docker_config.h"
#include "fetch/http_config.h"
#include "fetch/source.h"
#include "fetch/upstream.h"
#include "fetch/upstream_memory.h"

namespace imgcachefs {

struct UpstreamConfig {
  HttpConfig http;                     // without a login
  Credentials secrets;                 // of credentials=FILE
  std::optional<Cloud> cloud;          // of cloud=NAME
  std::string region;                  // "": as the cloud has it, else any
  std::string interface_;              // "": as the cloud has it, else public
  std::optional<DockerConfig> docker;  // logins for registries, where `secrets` has none
  std::string platform;                // "": this machine's
  std::string redis;                   // "": what is known of blobs is kept in memory
  // How long checksum lists hold, and what a registry said of who may pull what; nullopt: for ever.
  std::optional<std::chrono::seconds> believe = std::chrono::seconds(300);
  UpstreamMemory memory = {};  // of a predecessor, or new
};

struct OpenedUpstream {
  std::unique_ptr<Upstream> upstream;
  // What a cache directory records as its SOURCE: the same for everything that means the same.
  std::string record;
};

// kInvalid when options contradict each other or the source, or a file they name cannot be used;
// nothing is asked of upstream.
Result<OpenedUpstream> open_upstream(const Source& source, const UpstreamConfig& config);

}  // namespace imgcachefs
