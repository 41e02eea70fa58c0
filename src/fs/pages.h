// Pages: what a mount tells of itself, put together anew each time somebody asks.
#pragma once

#include <string>

#include "cache/image_store.h"
#include "fs/backing_files.h"
#include "fs/error_log.h"
#include "fs/history.h"
#include "fs/mount_facts.h"
#include "fs/request_counters.h"

namespace imgcachefs {

// Thread-safe. A page reads the cache directory, so it takes longer the more images there are; it
// never waits for upstream.
class Pages {
 public:
  // All it is given outlives it.
  Pages(const ImageStore& store, const UpstreamStats& upstream, const MountFacts& facts,
        const RequestCounters& requests, const ErrorLog& errors, const BackingFiles& backing_files)
      : store_(store),
        upstream_(upstream),
        facts_(facts),
        requests_(requests),
        errors_(errors),
        backing_files_(backing_files) {}

  std::string metrics() const;                     // metrics_page.h
  std::string status() const;                      // status_page.h
  std::string html(const History& history) const;  // status_html.h
  Traffic traffic() const;                         // since the mount; at no cost

 private:
  const ImageStore& store_;
  const UpstreamStats& upstream_;
  const MountFacts& facts_;
  const RequestCounters& requests_;
  const ErrorLog& errors_;
  const BackingFiles& backing_files_;
};

}  // namespace imgcachefs
