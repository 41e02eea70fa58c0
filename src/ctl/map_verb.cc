#include "ctl/map_verb.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "base/units.h"
#include "ctl/bar.h"
#include "ctl/fact_sheet.h"
#include "ctl/image_json.h"
#include "ctl/presence.h"
#include "ctl/presence_drawing.h"
#include "ctl/shown_text.h"

namespace imgcachefs {
namespace {

Json to_json(const ImageEntry& entry, const Presence& presence) {
  Json ranges = Json::array();
  for (const ByteRange& range : presence.present)
    ranges.push_back({{"begin", range.begin}, {"end", range.end}});
  return {{"image_id", entry.file.id.str()},
          {"state", state_of(entry.place)},
          {"size", presence.size},
          {"chunk_size", presence.chunk_size ? Json(*presence.chunk_size) : Json(nullptr)},
          {"present_bytes", presence.present_bytes()},
          {"present", std::move(ranges)}};
}

std::string to_page(const ImageEntry& entry, const Presence& presence, const Terminal& terminal) {
  const size_t columns = terminal.is_one ? terminal.columns : kColumnsElsewhere;
  const PresenceGrid grid = presence_grid(presence, columns);
  const size_t ranges = presence.present.size();
  const uint64_t bytes = presence.present_bytes();
  FactSheet sheet;
  sheet.add("image id", entry.file.id.str(), Style::kTitle);
  sheet.add("state", std::string(state_of(entry.place)));
  sheet.add("size", fmt::format("{} ({} bytes)", human_size(presence.size), presence.size));
  sheet.add("present",
            fmt::format("{} ({} bytes, {} %), {} range{}", human_size(bytes), bytes,
                        percent_of(bytes, presence.size), ranges, ranges == 1 ? "" : "s"));
  sheet.add("chunk size", presence.chunk_size ? human_size(*presence.chunk_size) : "");
  std::string page = sheet.text(terminal);
  if (presence.size == 0) return page;
  page += "\n" + presence_drawing(presence, grid, terminal);
  page += fmt::format("\n{} present  {} partly  {} absent  ({} each)\n",
                      terminal.styled(Style::kGood, "#"), terminal.styled(Style::kWarning, "+"),
                      terminal.styled(Style::kFaint, "."), human_size(grid.cell));
  return page;
}

}  // namespace

Result<ExitCode> run_map(const CommandLine& command, const CacheView& cache) {
  auto entry = cache.entry(command.ids.front());
  if (!entry && entry.error().kind == ErrorKind::kNotFound) {
    complain(entry.error().message);
    return exit_code_of(entry.error());
  }
  if (!entry) return fail(entry.error());
  const Presence presence = presence_of(cache, *entry);
  const std::string text = command.json ? to_text(to_json(*entry, presence)) + "\n"
                                        : to_page(*entry, presence, terminal_of(STDOUT_FILENO));
  std::fputs(text.c_str(), stdout);
  return ExitCode::kDone;
}

}  // namespace imgcachefs
