#include "ctl/status_verb.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "base/units.h"
#include "ctl/bar.h"
#include "ctl/fact_sheet.h"
#include "ctl/human_time.h"
#include "ctl/image_json.h"
#include "ctl/mount.h"
#include "ctl/mount_figures.h"
#include "ctl/table.h"

namespace imgcachefs {
namespace {

constexpr std::array kPlaces = {Place::kCached, Place::kIncomplete, Place::kInvalid, Place::kQueue};
using Align = Table::Align;

// What the directory alone tells; of the daemon's own figures there are none then.
Result<Json> directory_status(const CacheView& cache) {
  Json json;
  json["version"] = IMGCACHEFS_VERSION;
  json["source"] = nullptr;
  json["cache_dir"] = cache.layout().path();
  json["driver"] = nullptr;
  if (cache.index() != nullptr) {
    auto source = cache.index()->source();
    if (!source) return fail(source.error());
    if (*source) json["source"] = **source;
    json["driver"] = cache.index()->driver();
  }
  json["mounted"] = cache.is_served();
  uint64_t used = 0;
  Json images;
  for (Place place : kPlaces) {
    auto files = cache.layout().list(place);
    if (!files) return fail(files.error());
    images[std::string(state_of(place))] = files->size();
    for (const StoredFile& file : *files) used += counted_bytes(place, file.st);
  }
  json["used"] = used;
  json["images"] = std::move(images);
  return json;
}

void add_images(FactSheet& sheet, const ImageCounts& images) {
  sheet.add("cached", std::to_string(images.cached));
  sheet.add("incomplete", std::to_string(images.incomplete));
  sheet.add("invalid", std::to_string(images.invalid),
            images.invalid > 0 ? Style::kWarning : Style::kPlain);
  sheet.add("queued", std::to_string(images.queued));
}

FactSheet mount_sheet(const std::string& mountpoint, const MountFigures& figures) {
  FactSheet sheet;
  sheet.add("mounted on", mountpoint, Style::kTitle);
  sheet.add("mounted at", time_text(figures.mounted_at));
  sheet.add("source", figures.source);
  sheet.add("cache directory", figures.cache_dir);
  sheet.add("index driver", figures.driver);
  sheet.add("passthrough", figures.passthrough);
  sheet.add("chunk size", human_size(figures.chunk_size));
  sheet.add("version", figures.version);
  sheet.new_group();
  const unsigned percent = percent_of(figures.used, figures.max_size);
  sheet.add("used", fmt::format("{} of {} ({} %)", human_size(figures.used),
                                human_size(figures.max_size), percent));
  add_images(sheet, figures.images);
  sheet.new_group();
  sheet.add("hits", std::to_string(figures.hits));
  sheet.add("misses", std::to_string(figures.misses));
  const uint64_t opens = figures.hits + figures.misses;
  sheet.add("hit rate", opens == 0 ? "" : fmt::format("{} %", percent_of(figures.hits, opens)));
  sheet.new_group();
  const UpstreamFigures& upstream = figures.upstream;
  if (upstream.up)
    sheet.add("upstream", *upstream.up ? "up" : "down", *upstream.up ? Style::kGood : Style::kBad);
  else
    sheet.add("upstream", "not asked yet");
  sheet.add("upstream requests", std::to_string(upstream.requests));
  sheet.add("upstream bytes", human_size(upstream.bytes));
  sheet.add("upstream retries", std::to_string(upstream.retries));
  sheet.add("upstream errors", std::to_string(upstream.errors),
            upstream.errors > 0 ? Style::kWarning : Style::kPlain);
  if (!upstream.last_error.empty())
    sheet.add("last error", upstream.last_error + ", " + time_text(upstream.last_error_time));
  return sheet;
}

Table fill_table(const MountFigures& figures) {
  Table table({{"FILLING"},
               {"PERCENT", Align::kRight, 1},
               {"PRESENT", Align::kRight, 3},
               {"SIZE", Align::kRight, 2},
               {"RATE", Align::kRight, 4}});
  for (const auto& [id, fill] : figures.fills)
    table.add({id.str(), std::to_string(percent_of(fill.cached_bytes, fill.size)),
               human_size(fill.cached_bytes), human_size(fill.size), human_size(fill.rate) + "/s"});
  return table;
}

Table failed_table(const MountFigures& figures) {
  Table table({{"QUEUED, AND FAILED"},
               {"ATTEMPTS", Align::kRight, 2},
               {"NEXT TRY", Align::kLeft, 3},
               {"ERROR", Align::kLeft, 1, 16}});
  for (const auto& [id, entry] : figures.queue) {
    if (!entry.error) continue;
    auto next = parse_rfc3339(entry.next_try);
    table.add({id.str(), std::to_string(entry.attempts),
               next ? age_text(*next, std::chrono::system_clock::now()) : "now",
               Table::Cell(entry.error->message, Style::kBad)});
  }
  return table;
}

std::string mount_text(const std::string& mountpoint, const MountFigures& figures) {
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  std::string text = mount_sheet(mountpoint, figures).text(terminal);
  for (const Table& table : {fill_table(figures), failed_table(figures)})
    if (!table.empty()) text += "\n" + table.text(terminal);
  return text;
}

std::string directory_text(const Json& json) {
  const auto text_of = [&](const char* key) {
    return json[key].is_null() ? std::string() : json[key].get<std::string>();
  };
  const Json& images = json["images"];
  FactSheet sheet;
  sheet.add("cache directory", text_of("cache_dir"), Style::kTitle);
  sheet.add("mounted",
            json["mounted"].get<bool>() ? "yes, where this program cannot see it" : "no");
  sheet.add("source", text_of("source"));
  sheet.add("index driver", text_of("driver"));
  sheet.add("version", text_of("version"));
  sheet.new_group();
  sheet.add("used", human_size(json["used"]));
  add_images(sheet, {images["cached"], images["incomplete"], images["invalid"], images["queued"]});
  return sheet.text(terminal_of(STDOUT_FILENO));
}

}  // namespace

Result<ExitCode> run_status(const CommandLine& command, const CacheView& cache) {
  std::string text;
  if (cache.mountpoint()) {
    auto page = mount_status(*cache.mountpoint());
    if (!page) return fail(page.error());
    auto figures = parse_figures(*cache.mountpoint(), *page);
    if (!figures) return fail(figures.error());
    text = command.json ? to_text(Json::parse(*page)) + "\n"
                        : mount_text(*cache.mountpoint(), *figures);
  } else {
    auto directory = directory_status(cache);
    if (!directory) return fail(directory.error());
    text = command.json ? to_text(*directory) + "\n" : directory_text(*directory);
  }
  std::fputs(text.c_str(), stdout);
  return ExitCode::kDone;
}

}  // namespace imgcachefs
