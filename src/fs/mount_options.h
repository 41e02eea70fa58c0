// What the user asked of a mount: every option of DESIGN 2.1, parsed and checked.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "cache/store_config.h"
#include "fetch/open_upstream.h"
#include "fs/listen_address.h"

namespace imgcachefs {

struct MountOptions {
  std::string source;      // as given
  std::string mountpoint;  // absolute
  bool foreground = false;

  uid_t uid = 0, gid = 0;  // of the files shown; default: whoever mounts
  mode_t mode = 0444;      // of the images; never a write bit
  bool allow_other = false;

  LogConfig log;
  StoreConfig store;        // without `source`, which follows from all the others
  Source where;             // what `source` means
  UpstreamConfig upstream;  // without the secrets: they are read by who mounts
  std::string credentials;  // path of the file; empty: none
  std::string cloud;        // name of an entry of clouds.yaml; empty: none
  bool passthrough = true;  // `auto`: use it where it is possible

  std::optional<ListenAddress> metrics_listen;

  std::string glance_conf;  // path of the file that some options were taken from; empty: none

  // The options that were given, as text: what each was in the end.
  std::map<std::string, std::string> given;

  // What was asked for and is done differently, to be logged once the log is open.
  std::vector<std::string> warnings;
};

}  // namespace imgcachefs
