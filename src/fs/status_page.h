// .imgcachefs/status: the state of a mount as JSON, with the keys of DESIGN 2.2. Beside them: of a
// fill `whole`; of upstream `retries`, `up` (null: it was not asked yet) and `last_error` with its
// time; `mounted_at`; and `queue`, the queued images that were tried: their failed attempts, the
// last error and its kind, and when it is tried again (null: it is being tried).
#pragma once

#include <string>

#include "cache/store_status.h"
#include "fetch/upstream.h"
#include "fs/mount_facts.h"

namespace imgcachefs {

// Sizes in bytes, rates in bytes per second, all plain integers. `passthrough`: what is done, not
// what was asked for.
std::string status_page(const MountFacts& facts, bool passthrough, const StoreStatus& store,
                        const UpstreamStats& upstream);

}  // namespace imgcachefs
