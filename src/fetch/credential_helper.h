// Programs that keep logins: docker-credential-NAME, as docker calls them
// (docker-credential-helpers: the name of the server on standard input of `get`, {"Username",
// "Secret"} on standard output).
//
// What they write is never logged: it can hold the secret, and so can an error of theirs.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "fetch/docker_config.h"

namespace imgcachefs {

bool is_helper_name(const std::string& name);  // [A-Za-z0-9._-]+

// What it knows of the server; nullopt: nothing. The program is looked for in $PATH, run without a
// shell, and killed with all it started when the time is over or `stop` is requested. kInvalid: no
// such name can be; kUnavailable: it cannot be run, or fails; kTimeout; kProtocol: its answer is
// none; kCancelled.
Result<std::optional<RegistrySecrets>> ask_helper(const HelperQuestion& question,
                                                  std::chrono::milliseconds limit,
                                                  std::stop_token stop);

}  // namespace imgcachefs
