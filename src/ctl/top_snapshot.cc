#include "ctl/top_snapshot.h"

#include <cmath>

#include "ctl/bar.h"
#include "ctl/progress.h"

namespace imgcachefs {
namespace {

template <typename T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json rate_or_null(const std::optional<TopRates>& rates, double TopRates::*rate) {
  return rates ? Json(std::llround(*rates.*rate)) : Json(nullptr);
}

}  // namespace

Result<TopSnapshot> take_snapshot(const std::string& mountpoint, const TopSnapshot* before) {
  auto figures = mount_figures(mountpoint);
  if (!figures) return fail(figures.error());
  TopSnapshot snapshot{mountpoint, std::chrono::system_clock::now(),
                       std::chrono::steady_clock::now(), std::move(*figures), std::nullopt};
  if (before != nullptr) snapshot.rates = rates_since(*before, snapshot);
  return snapshot;
}

std::optional<TopRates> rates_since(const TopSnapshot& before, const TopSnapshot& now) {
  const std::chrono::duration<double> span = now.clock - before.clock;
  const MountFigures &a = before.figures, &b = now.figures;
  if (span.count() <= 0 || b.upstream.requests < a.upstream.requests ||
      b.upstream.bytes < a.upstream.bytes || b.upstream.errors < a.upstream.errors ||
      b.hits < a.hits || b.misses < a.misses)
    return std::nullopt;
  const auto a_second = [&](uint64_t from, uint64_t to) {
    return static_cast<double>(to - from) / span.count();
  };
  return TopRates{a_second(a.upstream.requests, b.upstream.requests),
                  a_second(a.upstream.bytes, b.upstream.bytes),
                  a_second(a.upstream.errors, b.upstream.errors), b.hits - a.hits,
                  b.misses - a.misses};
}

std::optional<unsigned> hit_percent(uint64_t hits, uint64_t misses) {
  if (hits + misses == 0) return std::nullopt;
  return percent_of(hits, hits + misses);
}

Json to_json(const TopSnapshot& snapshot) {
  const MountFigures& figures = snapshot.figures;
  Json fills = Json::array(), queue = Json::array();
  for (const auto& [id, fill] : figures.fills) {
    const auto left = time_left(fill.cached_bytes, fill.size, fill.rate);
    fills.push_back({{"image_id", id.str()},
                     {"size", fill.size},
                     {"cached_bytes", fill.cached_bytes},
                     {"rate", fill.rate},
                     {"seconds_left", left ? Json(left->count()) : Json(nullptr)},
                     {"whole", fill.whole}});
  }
  for (const auto& [id, entry] : figures.queue)
    queue.push_back({{"image_id", id.str()},
                     {"attempts", entry.attempts},
                     {"error", entry.error ? Json(entry.error->message) : Json(nullptr)},
                     {"next_try", text_or_null(entry.next_try)}});
  return {{"time", rfc3339(snapshot.when)},
          {"mountpoint", snapshot.mountpoint},
          {"source", figures.source},
          {"used", figures.used},
          {"max_size", figures.max_size},
          {"images",
           {{"cached", figures.images.cached},
            {"incomplete", figures.images.incomplete},
            {"invalid", figures.images.invalid},
            {"queued", figures.images.queued}}},
          {"hits", figures.hits},
          {"misses", figures.misses},
          {"hit_percent", or_null(hit_percent(figures.hits, figures.misses))},
          {"upstream",
           {{"requests", figures.upstream.requests},
            {"bytes", figures.upstream.bytes},
            {"errors", figures.upstream.errors},
            {"up", or_null(figures.upstream.up)},
            {"requests_per_second", rate_or_null(snapshot.rates, &TopRates::requests)},
            {"bytes_per_second", rate_or_null(snapshot.rates, &TopRates::bytes)},
            {"errors_per_second", rate_or_null(snapshot.rates, &TopRates::errors)}}},
          {"fills", std::move(fills)},
          {"queue", std::move(queue)}};
}

}  // namespace imgcachefs
