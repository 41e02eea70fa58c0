#include "fs/status_site.h"

#include "base/log.h"
#include "fs/status_html.h"

namespace imgcachefs {

Result<std::unique_ptr<StatusSite>> StatusSite::start(const ListenAddress& where,
                                                      const Pages& pages) {
  std::unique_ptr<StatusSite> site(new StatusSite(pages));
  auto listener = HttpListener::start(
      where, {{"/metrics",
               {"text/plain; version=0.0.4; charset=utf-8", [&pages] { return pages.metrics(); }}},
              {"/status", {"application/json", [&pages] { return pages.status(); }}},
              {"/",
               {"text/html; charset=utf-8",
                [&pages, &history = site->history_] { return pages.html(history); },
                status_html_policy()}}});
  if (!listener) return fail(listener.error());
  site->listener_ = std::move(*listener);
  spdlog::info("metrics and status page: {}", site->listener_->url());
  return site;
}

}  // namespace imgcachefs
