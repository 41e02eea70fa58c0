#include "fs/metrics_page.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

namespace imgcachefs {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

class Page {
 public:
  void counter(const char* name, const char* help, uint64_t value, Labels labels = {}) {
    family(name, help, MetricType::Counter)
        .push_back(metric(MetricType::Counter, value, std::move(labels)));
  }
  void gauge(const char* name, const char* help, uint64_t value, Labels labels = {}) {
    family(name, help, MetricType::Gauge)
        .push_back(metric(MetricType::Gauge, value, std::move(labels)));
  }
  std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);
    return out.str();
  }

 private:
  // Lines of one name must stand together: a second one of it joins the first.
  std::vector<ClientMetric>& family(const char* name, const char* help, MetricType type) {
    const std::string full = std::string("imgcachefs_") + name;
    if (families_.empty() || families_.back().name != full)
      families_.push_back(MetricFamily{full, help, type, {}});
    return families_.back().metric;
  }
  static ClientMetric metric(MetricType type, uint64_t value, Labels labels) {
    ClientMetric metric;
    metric.label = std::move(labels);
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) =
        static_cast<double>(value);
    return metric;
  }

  std::vector<MetricFamily> families_;
};

}  // namespace

std::string metrics_page(const MountFacts& facts, const StoreStatus& store,
                         const UpstreamStats& upstream, const RequestFigures& requests) {
  const StoreCounters& c = store.counters;
  const SpaceUsage& space = store.space;
  Page page;
  page.gauge("build_info", "The version that runs.", 1, {{"version", facts.version}});

  for (const ErrorCount& error : requests.errors)
    page.counter("request_errors_total", "Requests answered with an error.", error.count,
                 {{"op", error.operation}, {"errno", error.errno_name}});
  page.counter("cache_hits_total", "Opens of cached images.", c.hits);
  page.counter("cache_misses_total", "Opens of images that were not cached.", c.misses);
  page.counter("cache_hit_bytes_total",
               "Bytes read from images that were cached when opened, but for those the kernel read "
               "by itself (passthrough, page cache).",
               requests.hit_bytes);
  page.counter("cache_miss_bytes_total", "Bytes read from images that were not cached when opened.",
               requests.miss_bytes);
  page.gauge("cache_bytes", "Bytes the cache takes on disk.", space.used);
  page.gauge("cache_limit_bytes", "Bytes the cache may take.", space.limit);
  page.gauge("cache_free_bytes", "Bytes left below the limit.",
             space.limit - std::min(space.used, space.limit));
  for (auto [state, count] : {std::pair{"cached", store.cached},
                              {"incomplete", store.incomplete},
                              {"invalid", store.invalid},
                              {"queued", store.queued}})
    page.gauge("cache_images", "Images in the cache directory.", count, {{"state", state}});
  page.counter("cache_evictions_total", "Cached images that were pruned.", c.evicted_images);
  page.counter("cache_evicted_bytes_total", "Bytes of the images that were pruned.",
               c.evicted_bytes);
  page.counter("upstream_requests_total", "Requests sent upstream, retries included.",
               upstream.requests);
  page.counter("upstream_bytes_total", "Bytes of bodies received from upstream.", upstream.bytes);
  page.counter("upstream_errors_total", "Attempts that failed upstream.", upstream.errors);

  page.gauge("fetches_in_flight", "Images being filled.", store.fills.size());
  page.gauge("fetch_waiters", "Reads that wait for bytes.", store.readers_waiting);
  page.counter("fetches_completed_total", "Images that became cached.", c.fills_completed);
  page.counter("fetches_failed_total", "Fills that were given up.", c.fills_failed);
  page.counter("verify_failures_total", "Images with a wrong checksum.", c.verify_failures);
  return page.text();
}

}  // namespace imgcachefs
