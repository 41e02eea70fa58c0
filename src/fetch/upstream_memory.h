// What goes from an upstream to the one that takes its place when it is opened anew (a reload).
#pragma once

#include <memory>

#include "fetch/blob_places.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// Never null.
struct UpstreamMemory {
  // Counters never go back.
  std::shared_ptr<UpstreamStats> stats = std::make_shared<UpstreamStats>();
  // A blob is read where it was found, and who reads one does not look for it again.
  std::shared_ptr<BlobPlaces> blob_places = std::make_shared<BlobPlaces>();
};

}  // namespace imgcachefs
