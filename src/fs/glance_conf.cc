#include "fs/glance_conf.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/posix.h"
#include "fs/ini_file.h"

namespace imgcachefs {
namespace {

enum class Kind { kText, kNumber };

struct GlanceOption {
  std::string_view name;
  std::string_view ours;
  Kind kind;
};

constexpr GlanceOption kOptions[] = {
    {"image_cache_dir", "cache_dir", Kind::kText},
    {"image_cache_driver", "driver", Kind::kText},
    {"image_cache_max_size", "max_size", Kind::kNumber},
    {"image_cache_stall_time", "stall_time", Kind::kNumber},
};
constexpr std::string_view kDatabase = "image_cache_sqlite_db";

// As oslo.config takes it: quotes around all of it are no part of it.
std::string unquoted(std::string value) {
  if (value.size() > 1 && value.front() == value.back() &&
      (value.front() == '"' || value.front() == '\''))
    return value.substr(1, value.size() - 2);
  return value;
}

bool is_number(const std::string& value) {
  return !value.empty() && std::all_of(value.begin(), value.end(),
                                       [](unsigned char c) { return c >= '0' && c <= '9'; });
}

Status refused(const IniEntry& entry, std::string_view why) {
  return fail(ErrorKind::kInvalid, fmt::format("glance_conf: {}: option '{}', value '{}': {}",
                                               entry.origin, entry.name, *entry.value, why));
}

Status take(const IniEntry& entry, Settings& settings) {
  const auto* option =
      std::find_if(std::begin(kOptions), std::end(kOptions),
                   [&](const GlanceOption& candidate) { return candidate.name == entry.name; });
  const bool known = option != std::end(kOptions);
  if (!known && entry.name != kDatabase) return {};
  const std::string value = unquoted(*entry.value);
  if (value.find('$') != std::string::npos)
    return refused(entry, "values that refer to other options are not understood");
  if (value.find('\n') != std::string::npos) return refused(entry, "it has more than one line");
  if (!known) return value == "cache.db" ? Status() : refused(entry, "only cache.db can be shared");
  if (option->kind == Kind::kNumber && !is_number(value))
    return refused(entry, "is a number, as Glance has it");
  return add_setting(settings, option->ours, value,
                     fmt::format("glance_conf: {} ({})", entry.origin, entry.name));
}

}  // namespace

Result<Settings> parse_glance_conf(const std::string& text, const std::string& path) {
  auto entries = parse_ini(text, path, IniDialect::kOslo);
  if (!entries) return fail(entries.error().in("glance_conf"));
  Settings settings;
  for (const IniEntry& entry : *entries) {
    if (!entry.section)
      return fail(ErrorKind::kInvalid,
                  fmt::format("glance_conf: {}: it stands before any section", entry.origin));
    if (*entry.section != "DEFAULT") continue;
    if (auto taken = take(entry, settings); !taken) return fail(taken.error());
  }
  return settings;
}

Result<Settings> read_glance_conf(const std::string& path) {
  auto text = posix::read_file_at(AT_FDCWD, path, 1 << 20);
  if (!text) return fail(ErrorKind::kInvalid, "glance_conf: " + text.error().message);
  return parse_glance_conf(*text, path);
}

}  // namespace imgcachefs
