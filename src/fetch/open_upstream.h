// The upstream a SOURCE means, made with the options that concern it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "fetch/clouds_yaml.h"
#include "fetch/credentials.h"
#include "fetch/http_config.h"
#include "fetch/source.h"
#include "fetch/upstream.h"

namespace imgcachefs {

struct UpstreamConfig {
  HttpConfig http;                    // without a login
  Credentials secrets;                // of credentials=FILE
  std::optional<Cloud> cloud;         // of cloud=NAME
  std::string region;                 // "": as the cloud has it, else any
  std::string interface_;             // "": as the cloud has it, else public
  std::chrono::seconds believe{300};  // how long checksum lists hold
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
