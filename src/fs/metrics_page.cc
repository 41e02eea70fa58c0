#include "fs/metrics_page.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>
#include <utility>
#include <vector>

#include "base/log.h"

namespace imgcachefs {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;

double seconds(Took took) {
  return std::chrono::duration<double>(took).count();
}

class Page {
 public:
  // Without "imgcachefs_", which is put before all names but those of the process.
  // A double is exact up to 2^53, and that is what Prometheus keeps.
  void counter(const char* name, const char* help, double value, Labels labels = {}) {
    add(name, help, MetricType::Counter, std::move(labels)).counter.value = value;
  }
  void gauge(const char* name, const char* help, double value, Labels labels = {}) {
    add(name, help, MetricType::Gauge, std::move(labels)).gauge.value = value;
  }
  void histogram(const char* name, const char* help, const HistogramFigures& figures,
                 Labels labels = {}) {
    auto& histogram = add(name, help, MetricType::Histogram, std::move(labels)).histogram;
    uint64_t below = 0;
    for (size_t i = 0; i < figures.counts.size(); ++i) {
      below += figures.counts[i];
      if (i < figures.bounds.size())
        histogram.bucket.push_back({below, seconds(figures.bounds[i])});
    }
    histogram.sample_count = below;
    histogram.sample_sum = seconds(figures.sum);
  }
  std::string text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, families_);
    return out.str();
  }

 private:
  // Lines of one name must stand together: a second one of it joins the first.
  ClientMetric& add(std::string_view name, const char* help, MetricType type, Labels labels) {
    const std::string full =
        (name.starts_with("process_") ? "" : "imgcachefs_") + std::string(name);
    if (families_.empty() || families_.back().name != full)
      families_.push_back(MetricFamily{full, help, type, {}});
    ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    return metric;
  }

  std::vector<MetricFamily> families_;
};

void add_requests(Page& page, const RequestFigures& requests) {
  for (const OperationTimes& each : requests.operations) {
    uint64_t all = 0;
    for (const uint64_t count : each.times.counts) all += count;
    page.counter("requests_total", "Requests of the kernel that were answered.", all,
                 {{"op", each.operation}});
  }
  for (const OperationTimes& each : requests.operations)
    page.histogram("request_duration_seconds",
                   "From a request of the kernel to its answer, those that wait for upstream too.",
                   each.times, {{"op", each.operation}});
  for (const ErrorCount& error : requests.errors)
    page.counter("request_errors_total", "Requests answered with an error.", error.count,
                 {{"op", error.operation}, {"errno", error.errno_name}});
  for (const auto& [result, opens] :
       {std::pair{"passthrough", requests.passed_opens}, {"daemon", requests.own_opens}})
    page.counter("passthrough_opens_total",
                 "Opens of cached images, by who reads them: the kernel by itself, or the daemon.",
                 opens, {{"result", result}});
}

void add_cache(Page& page, const StoreStatus& store, const RequestFigures& requests) {
  const StoreCounters& c = store.counters;
  const SpaceUsage& space = store.space;
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
  for (const auto& [state, count] : {std::pair{"cached", store.cached},
                                     {"incomplete", store.incomplete},
                                     {"invalid", store.invalid},
                                     {"queued", store.queued},
                                     {"pinned", store.pinned}})
    page.gauge("cache_images",
               "Images in the cache directory. Those pinned are among those cached.", count,
               {{"state", state}});
  const std::pair<const char*, const Evicted&> evictions[] = {
      {"room", c.for_room}, {"limit", c.over_limit}, {"clean", c.cleaned}};
  for (const auto& [reason, evicted] : evictions)
    page.counter("cache_evictions_total", "Images that the daemon took out of the cache.",
                 evicted.images, {{"reason", reason}});
  for (const auto& [reason, evicted] : evictions)
    page.counter("cache_evicted_bytes_total", "Bytes of the images that the daemon took out.",
                 evicted.bytes, {{"reason", reason}});
  for (const auto& [reason, count] :
       {std::pair{"changed", c.dropped_changed}, {"gone", c.dropped_gone}})
    page.counter(
        "cache_drops_total",
        "Cached images thrown away because upstream has another version, or none any more.", count,
        {{"reason", reason}});
  page.counter("cache_bypasses_total",
               "Images that came to be served around the cache, for want of room or of a disk.",
               c.served_around);
  if (store.pruned)
    page.gauge("last_prune_timestamp_seconds",
               "When it was looked last whether something has to be pruned.",
               to_unix(*store.pruned));
}

void add_upstream(Page& page, const UpstreamStats& upstream, const std::string& source) {
  const ClientMetric::Label label{"upstream", redacted_url(source)};
  constexpr const char* kRequests =
      "Requests that ended, retries and redirects included, by the status of their answer.";
  for (const auto& [status, count] : upstream.answers())
    page.counter("upstream_requests_total", kRequests, count,
                 {label, {"code", std::to_string(status)}});
  page.counter("upstream_requests_total", kRequests, upstream.without_answer(),
               {label, {"code", "none"}});
  for (const auto& [kind, count] : upstream.failures())
    page.counter("upstream_errors_total", "Attempts that failed upstream.", count,
                 {label, {"class", std::string(to_string(kind))}});
  page.counter("upstream_bytes_total", "Bytes of bodies received from upstream.", upstream.bytes,
               {label});
  page.counter("upstream_retries_total", "Attempts made because one before had failed.",
               upstream.retries, {label});
  page.histogram("upstream_ttfb_seconds", "From a request to the head of its answer.",
                 upstream.first_byte.figures(), {label});
  if (const auto up = upstream.up())
    page.gauge("upstream_up", "1 when upstream answered last, 0 when it failed to.", *up ? 1 : 0,
               {label});
}

uint64_t to_be_fetched(const StoreStatus& store) {
  const auto is_queued = [&](const FillStatus& fill) {
    return std::any_of(store.queue.begin(), store.queue.end(),
                       [&](const QueueStatus& entry) { return entry.id == fill.id; });
  };
  const auto others = std::count_if(store.fills.begin(), store.fills.end(), [&](const auto& fill) {
    return fill.whole && !is_queued(fill);
  });
  return store.queued + static_cast<uint64_t>(others);
}

void add_fetches(Page& page, const StoreStatus& store) {
  const StoreCounters& c = store.counters;
  page.gauge("fetches_in_flight", "Images being filled.", store.fills.size());
  page.gauge("fetch_waiters", "Reads that wait for bytes.", store.readers_waiting);
  page.gauge("background_fetch_pending",
             "Images to be cached whole: queued ones, and those that readers go on in.",
             to_be_fetched(store));
  page.counter("fetches_completed_total", "Images that became cached.", c.fills_completed);
  page.counter("fetches_failed_total", "Fills that were given up.", c.fills_failed);
  page.histogram("fetch_duration_seconds",
                 "From the first request for an image to when it was cached.", c.fill_times);
  page.counter("coalesced_readers_total",
               "Reads that waited for bytes which were on their way already.", c.coalesced_reads);
  page.counter("verify_failures_total", "Images with a wrong checksum.", c.verify_failures);
}

void add_process(Page& page, const ProcessFigures& process) {
  page.counter("process_cpu_seconds_total", "Processor time of the daemon, user and system.",
               process.cpu_seconds);
  page.gauge("process_resident_memory_bytes", "Memory of the daemon.", process.resident_bytes);
  page.gauge("process_virtual_memory_bytes", "Address space of the daemon.", process.virtual_bytes);
  page.gauge("process_open_fds", "Descriptors that are open.", process.open_fds);
  page.gauge("process_max_fds", "Descriptors that may be open.", process.max_fds);
  page.gauge("process_threads", "Threads of the daemon.", process.threads);
  page.gauge("process_start_time_seconds", "When the daemon was started.", process.start_time);
}

}  // namespace

std::string metrics_page(const MountFacts& facts, const StoreStatus& store,
                         const UpstreamStats& upstream, const RequestFigures& requests,
                         const ProcessFigures& process) {
  Page page;
  page.gauge("build_info", "The version that runs.", 1, {{"version", facts.version}});
  add_requests(page, requests);
  add_cache(page, store, requests);
  add_upstream(page, upstream, facts.source);
  add_fetches(page, store);
  add_process(page, process);
  return page.text();
}

}  // namespace imgcachefs
