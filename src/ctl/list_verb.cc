#include "ctl/list_verb.h"

#include <unistd.h>

#include <cstdio>

#include "base/units.h"
#include "cache/glance_attributes.h"
#include "ctl/bar.h"
#include "ctl/human_time.h"
#include "ctl/image_json.h"
#include "ctl/mount_figures.h"
#include "ctl/table.h"

namespace imgcachefs {
namespace {

using Column = Table::Column;
using Cell = Table::Cell;
constexpr auto kLeft = Table::Align::kLeft;
constexpr auto kRight = Table::Align::kRight;

// When it is, in the words of somebody who looks at a clock now.
class Ages {
 public:
  std::string operator()(const Json& time) const {
    auto then = time.is_string() ? parse_rfc3339(time.get<std::string>()) : std::nullopt;
    return then ? age_text(*then, now_) : "-";
  }

 private:
  WallTime now_ = std::chrono::system_clock::now();
};

std::string id_of(const Json& image) {
  return image["image_id"].get<std::string>();
}

Cell yes_or(const Json& value, const char* no) {
  return value.get<bool>() ? Cell("yes", Style::kGood) : Cell(no);
}

Table cached_table(const Json& images) {
  const Ages age;
  Table table({{"IMAGE ID"},
               {"SIZE", kRight, 1},
               {"LAST ACCESSED", kLeft, 2},
               {"HITS", kRight, 5},
               {"VERIFIED", kLeft, 4},
               {"PINNED", kLeft, 3},
               {"CACHED", kLeft, 6}});
  for (const Json& image : images)
    table.add({id_of(image), human_size(image["size"]), age(image["last_accessed"]),
               image["hits"].dump(), yes_or(image["verified"], "no"), yes_or(image["pinned"], "no"),
               age(image["last_modified"])});
  return table;
}

Table incomplete_table(const Json& images) {
  const Ages age;
  Table table({{"IMAGE ID"},
               {"SIZE", kRight, 1},
               {"ON DISK", kRight, 3},
               {"PERCENT", kRight, 2},
               {"LAST WRITTEN", kLeft, 4}});
  for (const Json& image : images)
    table.add({id_of(image), human_size(image["size"]), human_size(image["cached_bytes"]),
               std::to_string(percent_of(image["cached_bytes"], image["size"])),
               age(image["last_modified"])});
  return table;
}

Table invalid_table(const Json& images) {
  const Ages age;
  Table table({{"IMAGE ID"},
               {"SIZE", kRight, 3},
               {"ON DISK", kRight, 4},
               {"LAST MODIFIED", kLeft, 2},
               {"ERROR", kLeft, 1, 16}});
  for (const Json& image : images) {
    const Json& error = image["error"];
    table.add({id_of(image), human_size(image["size"]), human_size(image["cached_bytes"]),
               age(image["last_modified"]),
               error.is_null() ? Cell("-") : Cell(error.get<std::string>(), Style::kBad)});
  }
  return table;
}

Table queue_table(const Json& images) {
  const Ages age;
  Table table({{"IMAGE ID"},
               {"QUEUED", kLeft, 3},
               {"ATTEMPTS", kRight, 4},
               {"NEXT TRY", kLeft, 2},
               {"ERROR", kLeft, 1, 16}});
  for (const Json& image : images) {
    const Json &error = image["error"], &attempts = image["attempts"];
    table.add({id_of(image), age(image["last_modified"]),
               attempts.is_null() ? "-" : attempts.dump(), age(image["next_try"]),
               error.is_null() ? Cell("-") : Cell(error.get<std::string>(), Style::kBad)});
  }
  return table;
}

Table table_of(const Json& images, Place place) {
  switch (place) {
    case Place::kCached:
      return cached_table(images);
    case Place::kIncomplete:
    case Place::kMaps:
      return incomplete_table(images);
    case Place::kInvalid:
      return invalid_table(images);
    case Place::kQueue:
      return queue_table(images);
  }
  return Table({});
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

// Why what is invalid is, where that was noted on its file (by a daemon, by verify, or by Glance).
void add_errors(Json& images, const std::vector<ImageEntry>& entries, const CacheView& cache) {
  const int dir = cache.layout().dir(Place::kInvalid);
  for (size_t i = 0; i < entries.size(); ++i) {
    images[i]["error"] = nullptr;
    auto fd =
        posix::open_unnoticed_at(dir, entries[i].file.id.str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!fd) continue;
    if (auto error = read_error(fd->get()); error && *error) images[i]["error"] = **error;
  }
}

// For pipes: one a line, as it is.
std::string only_ids(const std::vector<ImageEntry>& entries, bool json) {
  if (json) {
    Json ids = Json::array();
    for (const ImageEntry& entry : entries) ids.push_back(entry.file.id.str());
    return to_text(ids) + "\n";
  }
  std::string text;
  for (const ImageEntry& entry : entries) text += entry.file.id.str() + "\n";
  return text;
}

}  // namespace

Result<ExitCode> run_list(const CommandLine& command, const CacheView& cache) {
  auto entries = cache.entries(command.place);
  if (!entries) return fail(entries.error());
  if (command.only_ids) {
    std::fputs(only_ids(*entries, command.json).c_str(), stdout);
    return ExitCode::kDone;
  }
  Json images = Json::array();
  for (const ImageEntry& entry : *entries) images.push_back(to_json(entry));
  if (command.place == Place::kQueue) add_attempts(images, cache);
  if (command.place == Place::kInvalid) add_errors(images, *entries, cache);
  const std::string text = command.json
                               ? to_text(images) + "\n"
                               : table_of(images, command.place).text(terminal_of(STDOUT_FILENO));
  std::fputs(text.c_str(), stdout);
  return ExitCode::kDone;
}

}  // namespace imgcachefs
