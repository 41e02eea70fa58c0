// .imgcachefs/status: the state of a mount as JSON, with the keys of DESIGN 2.2.
#pragma once

#include <string>

#include "cache/store_status.h"
#include "fetch/upstream.h"
#include "fs/mount_facts.h"

namespace imgcachefs {

// Sizes in bytes, rates in bytes per second, all plain integers.
std::string status_page(const MountFacts& facts, const StoreStatus& store,
                        const UpstreamStats& upstream);

}  // namespace imgcachefs
