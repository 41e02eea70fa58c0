#include "fs/pages.h"

#include "fs/metrics_page.h"
#include "fs/status_html.h"
#include "fs/status_page.h"

namespace imgcachefs {

std::string Pages::metrics() const {
  RequestFigures requests = requests_.figures();
  requests.errors = errors_.counts();
  return metrics_page(facts_, store_.status(), upstream_, requests, process_figures());
}

std::string Pages::html(const History& history) const {
  return status_html(facts_, backing_files_.on(), store_.status(), upstream_, history,
                     std::chrono::system_clock::now());
}

Traffic Pages::traffic() const {
  const StoreCounters counters = store_.counters();
  return {counters.hits, counters.misses, upstream_.bytes};
}

std::string Pages::status() const {
  return status_page(facts_, backing_files_.on(), store_.status(), upstream_);
}

}  // namespace imgcachefs
