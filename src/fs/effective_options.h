// What every option of a mount is in the end, and who said so: imgcachefs --check-config.
//
//     cache_dir         = /srv/images            # /etc/imgcachefs.conf:3
//     max_size          = 10G                    # default
//
// One line an option, in the order of the help, with the text as it was given. Secrets in URLs are
// left out.
#pragma once

#include <string>
#include <vector>

#include "fs/settings.h"

namespace imgcachefs {

// Lower precedence first, as for apply().
std::string effective_options(const std::vector<const Settings*>& layers);

}  // namespace imgcachefs
