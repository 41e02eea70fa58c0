// StatusSite: the pages of a mount over HTTP, where metrics_listen says.
//
//     /metrics   for Prometheus            /status   JSON            /   for people
//
// The first two are those of .imgcachefs/. For the third it keeps a history, from its start on.
#pragma once

#include <memory>

#include "base/periodic_task.h"
#include "base/result.h"
#include "fs/history.h"
#include "fs/http_listener.h"
#include "fs/pages.h"

namespace imgcachefs {

class StatusSite {
 public:
  // Listens until it is destroyed; `pages` outlives it. As HttpListener::start().
  static Result<std::unique_ptr<StatusSite>> start(const ListenAddress& where, const Pages& pages);

 private:
  explicit StatusSite(const Pages& pages)
      : sampler_("history", History::kFine, [this, &pages] { history_.add(pages.traffic()); }) {}

  History history_;
  PeriodicTask sampler_;
  std::unique_ptr<HttpListener> listener_;  // last: it uses the others
};

}  // namespace imgcachefs
