// .imgcachefs/metrics: the figures of a mount in Prometheus' text format, version 0.0.4. What each
// of them means is in docs/METRICS.md.
#pragma once

#include <string>

#include "cache/store_status.h"
#include "fetch/upstream.h"
#include "fs/mount_facts.h"
#include "fs/process_figures.h"
#include "fs/request_figures.h"

namespace imgcachefs {

// Base units; no image ID is ever a label (there may be any number of them).
std::string metrics_page(const MountFacts& facts, const StoreStatus& store,
                         const UpstreamStats& upstream, const RequestFigures& requests,
                         const ProcessFigures& process);

}  // namespace imgcachefs
