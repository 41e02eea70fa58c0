#include "fs/status_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "fs/html.h"
#include "fs/status_html_parts.h"

namespace imgcachefs {
namespace {

using html::escaped;

std::string percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "0 %";
  const double share = 100 * static_cast<double>(part) / static_cast<double>(whole);
  // 99.96 is not all of it.
  return fmt::format("{:.1f} %", part < whole ? std::min(share, 99.9) : share);
}

// Two units at most: "3 d 4 h", "5 min 2 s".
std::string duration(std::chrono::seconds time) {
  const int64_t s = std::max<int64_t>(0, time.count());
  if (s >= 86400) return fmt::format("{} d {} h", s / 86400, s % 86400 / 3600);
  if (s >= 3600) return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
  if (s >= 60) return fmt::format("{} min {} s", s / 60, s % 60);
  return fmt::format("{} s", s);
}

std::chrono::seconds between(WallTime a, WallTime b) {
  return std::chrono::duration_cast<std::chrono::seconds>(b - a);
}

std::string short_time(Took took) {
  const double ms = std::chrono::duration<double, std::milli>(took).count();
  return ms < 1000 ? fmt::format("{:g} ms", ms) : fmt::format("{:g} s", ms / 1000);
}

std::string row(std::string_view name, std::string_view value) {
  return fmt::format("<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td></tr>\n", name,
                     value);
}

std::string cache_section(bool passthrough, const StoreStatus& store) {
  const SpaceUsage& space = store.space;
  const std::string used = fmt::format("{} of {} used, {}", human_size(space.used),
                                       human_size(space.limit), percent(space.used, space.limit));
  std::string out = fmt::format(
      "<section id=\"cache\"><h2>Cache</h2>\n{}<p>{}</p>\n"
      "<table><caption>Images by state</caption><tbody>\n",
      html::bar(space.used, space.limit, used), used);
  for (const auto& [state, count] : {std::pair{"cached", store.cached},
                                     {"of these pinned", store.pinned},
                                     {"incomplete", store.incomplete},
                                     {"invalid", store.invalid},
                                     {"queued", store.queued}})
    out += row(state, std::to_string(count));
  const StoreCounters& c = store.counters;
  const uint64_t opens = c.hits + c.misses;
  out += "</tbody></table>\n<table><caption>Since the mount</caption><tbody>\n";
  out += row("opens of cached images",
             fmt::format("{} of {} ({})", c.hits, opens, percent(c.hits, opens)));
  out += row("images cached", std::to_string(c.fills_completed));
  out += row("taken out for room, or above the limit",
             std::to_string(c.for_room.images + c.over_limit.images));
  out += row("wrong checksums", std::to_string(c.verify_failures));
  out += row("served around the cache", std::to_string(c.served_around));
  out += row("read by the kernel itself", passthrough ? "yes (passthrough)" : "no");
  return out + "</tbody></table></section>\n";
}

std::string upstream_section(const UpstreamStats& upstream, WallTime now) {
  const auto up = upstream.up();
  const std::string_view health = !up   ? "<span class=\"faint\">not asked yet</span>"
                                  : *up ? "<span class=\"good\">&#10003; answers</span>"
                                        : "<span class=\"bad\">&#10007; does not answer</span>";
  std::string out = fmt::format(
      "<section id=\"upstream\"><h2>Upstream</h2>\n"
      "<table><caption>Health, and what was asked since the mount</caption><tbody>\n{}{}{}{}{}",
      row("state", health), row("requests", std::to_string(upstream.requests)),
      row("failed attempts", std::to_string(upstream.errors)),
      row("retries", std::to_string(upstream.retries)),
      row("received", human_size(upstream.bytes)));
  const HistogramFigures times = upstream.first_byte.figures();
  for (const auto& [name, share] :
       {std::pair{"half of the answers within", 0.5}, {"99 % of the answers within", 0.99}})
    if (const auto bound = times.quantile_bound(share))
      out += row(name, *bound == Took::max()
                           ? fmt::format("more than {}", short_time(times.bounds.back()))
                           : short_time(*bound));
  out += "</tbody></table>\n";
  if (const auto failure = upstream.last_failure())
    out += fmt::format(
        "<p>Last error, {} ago (<time>{}</time>):<br><span class=\"bad\">{}</span></p>\n",
        duration(between(failure->when, now)), rfc3339(failure->when), escaped(failure->message));
  else
    out += "<p class=\"faint\">No error so far.</p>\n";
  return out + "</section>\n";
}

std::string fills_section(const StoreStatus& store) {
  std::string out = "<section id=\"fills\" class=\"wide\"><h2>Fills in progress</h2>\n";
  if (store.fills.empty()) return out + "<p class=\"faint\">None.</p></section>\n";
  out +=
      "<div class=\"scroll\"><table><caption>Images that are being fetched, and what is cached of "
      "each</caption>\n<thead><tr><th scope=\"col\">image</th><th scope=\"col\">cached</th>"
      "<th scope=\"col\" class=\"number\">of</th><th scope=\"col\" class=\"number\">rate</th>"
      "<th scope=\"col\" class=\"number\">remaining</th></tr></thead><tbody>\n";
  for (const FillStatus& fill : store.fills) {
    const std::string done =
        fmt::format("{}, {}", human_size(fill.cached_bytes), percent(fill.cached_bytes, fill.size));
    const auto rate = static_cast<uint64_t>(std::max(0.0, fill.rate));
    const uint64_t left = fill.size - std::min(fill.size, fill.cached_bytes);
    const std::string remaining =
        !fill.whole ? "only what is read"
        : rate == 0 ? "?"
                    : duration(std::chrono::seconds(static_cast<int64_t>(left / rate)));
    out += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"progress\">{}{}</td><td class=\"number\">{}</td>"
        "<td class=\"number\">{}/s</td><td class=\"number\">{}</td></tr>\n",
        escaped(fill.id.str()), html::bar(fill.cached_bytes, fill.size, done), done,
        human_size(fill.size), human_size(rate), remaining);
  }
  return out + "</tbody></table></div></section>\n";
}

Traffic sum_of(const std::vector<Traffic>& samples) {
  Traffic sum;
  for (const Traffic& sample : samples) {
    sum.hits += sample.hits;
    sum.misses += sample.misses;
    sum.upstream_bytes += sample.upstream_bytes;
  }
  return sum;
}

// Of each interval in which images were opened, which part of the opens found them cached.
std::string hit_chart(std::string_view when, const std::vector<Traffic>& samples, size_t places) {
  std::vector<html::Column> columns;
  for (const Traffic& sample : samples) {
    const double opens = static_cast<double>(sample.hits + sample.misses);
    columns.push_back(opens == 0 ? html::Column{}
                                 : html::Column{static_cast<double>(sample.hits) / opens,
                                                static_cast<double>(sample.misses) / opens});
  }
  const Traffic sum = sum_of(samples);
  const uint64_t opens = sum.hits + sum.misses;
  const std::string said = opens == 0
                               ? fmt::format("Hit rate of the last {}: nothing was opened", when)
                               : fmt::format("Hit rate of the last {}: {} of {} opens", when,
                                             percent(sum.hits, opens), opens);
  return fmt::format("<h3 class=\"chart\">{}</h3>\n{}\n", said,
                     html::columns(columns, places, said));
}

std::string rate_chart(std::string_view when, const std::vector<Traffic>& samples, size_t places,
                       std::chrono::seconds interval) {
  uint64_t most = 0;
  for (const Traffic& sample : samples) most = std::max(most, sample.upstream_bytes);
  std::vector<html::Column> columns;
  for (const Traffic& sample : samples)
    columns.push_back({.amount = most == 0 ? 0
                                           : static_cast<double>(sample.upstream_bytes) /
                                                 static_cast<double>(most)});
  const std::string said = fmt::format("Received from upstream in the last {}: {}, at most {}/s",
                                       when, human_size(sum_of(samples).upstream_bytes),
                                       human_size(most / static_cast<uint64_t>(interval.count())));
  return fmt::format("<h3 class=\"chart\">{}</h3>\n{}\n", said,
                     html::columns(columns, places, said));
}

std::string history_section(const History& history) {
  const auto fine = history.fine(), coarse = history.coarse();
  return "<section id=\"history\" class=\"wide\"><h2>Hit rate and traffic</h2>\n"
         "<p><span class=\"key lower\"></span>hits &ensp; <span class=\"key upper\"></span>misses "
         "&ensp; <span class=\"faint\">of the opens in each interval, the newest at the right; "
         "empty where nothing was opened</span></p>\n" +
         hit_chart("10 minutes", fine, History::kFineSamples) +
         hit_chart("6 hours", coarse, History::kCoarseSamples) +
         rate_chart("10 minutes", fine, History::kFineSamples, History::kFine) + "</section>\n";
}

std::string queue_section(const StoreStatus& store, WallTime now) {
  std::string out = fmt::format(
      "<section id=\"queue\" class=\"wide\"><h2>Queue</h2>\n<p>Queued images: {}.</p>\n",
      store.queued);
  if (store.queue.empty()) return out + "</section>\n";
  out +=
      "<div class=\"scroll\"><table><caption>Those that were tried</caption><thead><tr>"
      "<th scope=\"col\">image</th><th scope=\"col\" class=\"number\">failed attempts</th>"
      "<th scope=\"col\">last error</th><th scope=\"col\" class=\"number\">next try</th></tr>"
      "</thead><tbody>\n";
  for (const QueueStatus& entry : store.queue)
    out += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"bad\">{}</td>"
        "<td class=\"number\">{}</td></tr>\n",
        escaped(entry.id.str()), entry.attempts, entry.error ? escaped(entry.error->message) : "",
        entry.next_try ? "in " + duration(between(now, *entry.next_try)) : "now");
  return out + "</tbody></table></div></section>\n";
}

}  // namespace

std::string status_html(const MountFacts& facts, bool passthrough, const StoreStatus& store,
                        const UpstreamStats& upstream, const History& history, WallTime now) {
  const std::string source = escaped(redacted_url(facts.source));
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<title>imgcachefs: {}</title>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<noscript><meta http-equiv=\"refresh\" content=\"10\"></noscript>\n"
      "<style>{}</style></head>\n<body>\n<header><h1>imgcachefs</h1>\n"
      "<p>{}, cached in {}</p></header>\n<main>\n{}{}{}{}{}</main>\n"
      "<footer><p>Version {}, mounted since <time>{}</time> ({}). "
      "<a href=\"metrics\">Metrics</a>, <a href=\"status\">JSON</a>. "
      "<span id=\"late\">The daemon does not answer: these figures are old.</span></p></footer>\n"
      "<script>{}</script></body></html>\n",
      source, kStatusStyle, source, escaped(facts.cache_dir), fills_section(store),
      cache_section(passthrough, store), upstream_section(upstream, now), history_section(history),
      queue_section(store, now), escaped(facts.version), rfc3339(facts.mounted_at),
      duration(between(facts.mounted_at, now)), kStatusScript);
}

std::string status_html_policy() {
  return fmt::format(
      "default-src 'none'; style-src {}; script-src {}; connect-src 'self'; base-uri 'none'; "
      "form-action 'none'; frame-ancestors 'none'",
      html::source_hash(kStatusStyle), html::source_hash(kStatusScript));
}

}  // namespace imgcachefs
