// .imgcachefs/metrics: the figures of a mount in Prometheus' text format.
#pragma once

#include <string>

#include "cache/store_status.h"
#include "fetch/upstream.h"
#include "fs/mount_facts.h"
#include "fs/request_figures.h"

namespace imgcachefs {

// Base units; no image ID is ever a label (there may be any number of them).
std::string metrics_page(const MountFacts& facts, const StoreStatus& store,
                         const UpstreamStats& upstream, const RequestFigures& requests);

}  // namespace imgcachefs
