// SIGHUP: options and secrets are read anew, what can change while mounted changes, and nothing
// that upstream said is believed any more.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/image_store.h"
#include "fetch/exchangeable_upstream.h"
#include "fs/mount_options.h"

namespace imgcachefs {

// The options as the command line, the environment and the files they name say them now.
using RereadOptions = std::function<Result<MountOptions>()>;

// For one thread: the one that takes signals.
class Reload {
 public:
  // `options`: what is mounted, with what its files said; `record`: as OpenedUpstream has it.
  Reload(MountOptions options, std::string record, RereadOptions reread, ImageStore& store,
         ExchangeableUpstream& upstream);

  // All or nothing: what is wrong with the new options is logged, and nothing changes by them. That
  // upstream is doubted and the log file opened anew is so in any case.
  void run();

 private:
  Status take_over();
  // ... and goes on being told until it is so.
  void tell_what_waits(MountOptions& next) const;

  MountOptions options_;
  const std::string record_;
  const RereadOptions reread_;
  ImageStore& store_;
  ExchangeableUpstream& upstream_;
};

// Whether an option changes at once: the limits of the cache, the log, who is asked and how. What
// else changed is told, and waits for the next mount.
bool changes_while_mounted(std::string_view option);

}  // namespace imgcachefs
