#include "fs/status_page.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace imgcachefs {

std::string status_page(const MountFacts& facts, bool passthrough, const StoreStatus& store,
                        const UpstreamStats& upstream) {
  using Json = nlohmann::ordered_json;
  Json fills = Json::array();
  for (const FillStatus& fill : store.fills)
    fills.push_back({{"image_id", fill.id.str()},
                     {"size", fill.size},
                     {"cached_bytes", fill.cached_bytes},
                     {"rate", std::llround(fill.rate)},
                     {"whole", fill.whole}});
  const auto or_null = [](bool known, auto value) { return known ? Json(value()) : Json(nullptr); };
  Json queue = Json::array();
  for (const QueueStatus& entry : store.queue)
    queue.push_back(
        {{"image_id", entry.id.str()},
         {"attempts", entry.attempts},
         {"error", or_null(entry.error.has_value(), [&] { return entry.error->message; })},
         {"kind", or_null(entry.error.has_value(), [&] { return to_string(entry.error->kind); })},
         {"next_try",
          or_null(entry.next_try.has_value(), [&] { return rfc3339(*entry.next_try); })}});
  const auto failure = upstream.last_failure();
  const auto up = upstream.up();
  Json page = {
      {"version", facts.version},
      {"source", facts.source},
      {"cache_dir", facts.cache_dir},
      {"driver", store.driver},
      {"max_size", store.max_size},
      {"used", store.space.used},
      {"chunk_size", store.chunk_size},
      {"passthrough", passthrough ? "on" : "off"},
      {"images",
       {{"cached", store.cached},
        {"incomplete", store.incomplete},
        {"invalid", store.invalid},
        {"queued", store.queued}}},
      {"hits", store.counters.hits},
      {"misses", store.counters.misses},
      {"upstream",
       {{"requests", upstream.requests.load()},
        {"bytes", upstream.bytes.load()},
        {"errors", upstream.errors.load()},
        {"retries", upstream.retries.load()},
        {"up", or_null(up.has_value(), [&] { return *up; })},
        {"last_error",
         or_null(failure.has_value(),
                 [&] {
                   return Json({{"message", failure->message}, {"time", rfc3339(failure->when)}});
                 })}}},
      {"mounted_at", rfc3339(facts.mounted_at)},
      {"fills", std::move(fills)},
      {"queue", std::move(queue)},
  };
  // A path may hold bytes that are no UTF-8: they must not make the page fail.
  return page.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace imgcachefs
