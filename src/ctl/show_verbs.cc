#include "ctl/show_verbs.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>

#include "base/units.h"
#include "ctl/image_json.h"
#include "ctl/mount.h"
#include "ctl/mount_figures.h"
#include "ctl/table.h"

namespace imgcachefs {
namespace {

constexpr std::array kPlaces = {Place::kCached, Place::kIncomplete, Place::kInvalid, Place::kQueue};

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

const char* yes_no(const Json& value) {
  return value.get<bool>() ? "yes" : "no";
}

std::string list_text(const Json& images, Place place) {
  using Column = Table::Column;
  constexpr auto kRight = Table::Align::kRight;
  std::vector<Column> columns = {{"IMAGE ID"}};
  if (place == Place::kQueue)
    columns.insert(columns.end(), {Column{"QUEUED"}, {"ATTEMPTS", kRight}, {"ERROR"}});
  else
    columns.insert(columns.end(), {Column{"SIZE", kRight}, {"ON DISK", kRight}, {"LAST MODIFIED"}});
  if (place == Place::kCached)
    columns.insert(columns.end(),
                   {Column{"LAST ACCESSED"}, {"HITS", kRight}, {"VERIFIED"}, {"PINNED"}});
  Table table(std::move(columns));
  for (const Json& image : images) {
    std::vector<std::string> cells = {image["image_id"]};
    if (place != Place::kQueue) {
      cells.push_back(human_size(image["size"]));
      cells.push_back(human_size(image["cached_bytes"]));
    }
    cells.push_back(image["last_modified"]);
    if (place == Place::kQueue) {
      const auto& error = image["error"];
      cells.push_back(image["attempts"].is_null() ? "-" : image["attempts"].dump());
      cells.push_back(error.is_null() ? "-" : error.get<std::string>());
    }
    if (place == Place::kCached) {
      cells.push_back(image["last_accessed"]);
      cells.push_back(image["hits"].dump());
      cells.push_back(yes_no(image["verified"]));
      cells.push_back(yes_no(image["pinned"]));
    }
    table.add(std::move(cells));
  }
  return table.text();
}

// Why what is queued is queued still, as far as a mount tells.
void add_attempts(Json& images, const CacheView& cache) {
  std::optional<MountFigures> figures;
  if (cache.mountpoint())
    if (auto told = mount_figures(*cache.mountpoint())) figures = std::move(*told);
  for (Json& image : images) {
    for (const char* key : {"attempts", "error", "kind", "next_try"}) image[key] = nullptr;
    if (!figures) continue;
    image["attempts"] = 0;
    auto id = ImageId::parse(image["image_id"].get<std::string>());
    auto tried = id ? figures->queue.find(*id) : figures->queue.end();
    if (tried == figures->queue.end()) continue;
    image["attempts"] = tried->second.attempts;
    image["next_try"] = text_or_null(tried->second.next_try);
    if (!tried->second.error) continue;
    image["error"] = tried->second.error->message;
    image["kind"] = to_string(tried->second.error->kind);
  }
}

// Anything as "name: value" lines; of objects inside, the name is "outer.inner".
void append_lines(std::string& out, const Json& json, const std::string& prefix) {
  for (const auto& [key, value] : json.items()) {
    const std::string name = prefix.empty() ? key : prefix + "." + key;
    if (value.is_structured())
      append_lines(out, value, name);
    else if (value.is_string())
      out += fmt::format("{}: {}\n", name, value.get<std::string>());
    else if (value.is_null())
      out += fmt::format("{}: -\n", name);
    else
      out += fmt::format("{}: {}\n", name, value.dump());
  }
}

void print(const CommandLine& command, const Json& json) {
  std::string text;
  if (command.json)
    text = to_text(json) + "\n";
  else
    append_lines(text, json, "");
  std::fputs(text.c_str(), stdout);
}

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

}  // namespace

Result<ExitCode> run_list(const CommandLine& command, const CacheView& cache) {
  auto entries = cache.entries(command.place);
  if (!entries) return fail(entries.error());
  Json images = Json::array();
  for (const ImageEntry& entry : *entries) images.push_back(to_json(entry));
  if (command.place == Place::kQueue) add_attempts(images, cache);
  std::fputs(
      command.json ? (to_text(images) + "\n").c_str() : list_text(images, command.place).c_str(),
      stdout);
  return ExitCode::kDone;
}

Result<ExitCode> run_info(const CommandLine& command, const CacheView& cache) {
  const ImageId& id = command.ids.front();
  auto entry = cache.entry(id);
  if (!entry && entry.error().kind == ErrorKind::kNotFound) {
    fmt::print(stderr, "imgcachectl: {}\n", entry.error().message);
    return exit_code_of(entry.error());
  }
  if (!entry) return fail(entry.error());
  Json json = to_json(*entry);
  const Validator validator = entry->row ? entry->row->validator : Validator{};
  json["etag"] = text_or_null(validator.etag);
  json["upstream_last_modified"] = text_or_null(validator.last_modified);
  print(command, json);
  return ExitCode::kDone;
}

Result<ExitCode> run_status(const CommandLine& command, const CacheView& cache) {
  Json json;
  if (cache.mountpoint()) {
    auto text = mount_status(*cache.mountpoint());
    if (!text) return fail(text.error());
    json = Json::parse(*text, nullptr, false);
    if (!json.is_object())
      return fail(ErrorKind::kIo, *cache.mountpoint() + "/.imgcachefs/status is not JSON");
  } else {
    auto directory = directory_status(cache);
    if (!directory) return fail(directory.error());
    json = std::move(*directory);
  }
  print(command, json);
  return ExitCode::kDone;
}

}  // namespace imgcachefs
