#include "ctl/info_verb.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/units.h"
#include "ctl/bar.h"
#include "ctl/fact_sheet.h"
#include "ctl/human_time.h"
#include "ctl/image_json.h"
#include "ctl/shown_text.h"

namespace imgcachefs {
namespace {

std::string text_or_empty(const Json& value) {
  return value.is_null() ? "" : value.get<std::string>();
}

std::string size_text(uint64_t bytes) {
  return fmt::format("{} ({} bytes)", human_size(bytes), bytes);
}

FactSheet sheet_of(const Json& image) {
  const bool cached = image["state"] == "cached";
  const uint64_t size = image["size"], on_disk = image["cached_bytes"];
  FactSheet sheet;
  sheet.add("image id", image["image_id"], Style::kTitle);
  sheet.add("state", image["state"], cached ? Style::kGood : Style::kWarning);
  sheet.add("size", size_text(size));
  sheet.add("on disk", fmt::format("{}, {} %", size_text(on_disk), percent_of(on_disk, size)));
  sheet.new_group();
  sheet.add(cached ? "cached" : "last written", time_text(text_or_empty(image["last_modified"])));
  sheet.add("last accessed", time_text(text_or_empty(image["last_accessed"])));
  sheet.add("hits", image["hits"].dump());
  sheet.add("pinned", image["pinned"].get<bool>() ? "yes" : "no");
  sheet.new_group();
  sheet.add("checksum", text_or_empty(image["checksum"]));
  const bool verified = image["verified"];
  sheet.add("verified", verified ? "yes" : "no", verified ? Style::kGood : Style::kWarning);
  sheet.add("etag", text_or_empty(image["etag"]));
  sheet.add("changed upstream", text_or_empty(image["upstream_last_modified"]));
  return sheet;
}

}  // namespace

Result<ExitCode> run_info(const CommandLine& command, const CacheView& cache) {
  const ImageId& id = command.ids.front();
  auto entry = cache.entry(id);
  if (!entry && entry.error().kind == ErrorKind::kNotFound) {
    complain(entry.error().message);
    return exit_code_of(entry.error());
  }
  if (!entry) return fail(entry.error());
  Json json = to_json(*entry);
  const Validator validator = entry->row ? entry->row->validator : Validator{};
  json["etag"] = text_or_null(validator.etag);
  json["upstream_last_modified"] = text_or_null(validator.last_modified);
  const std::string text =
      command.json ? to_text(json) + "\n" : sheet_of(json).text(terminal_of(STDOUT_FILENO));
  std::fputs(text.c_str(), stdout);
  return ExitCode::kDone;
}

}  // namespace imgcachefs
