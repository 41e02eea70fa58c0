#include "fs/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace imgcachefs {

Status add_setting(Settings& settings, std::string_view name, std::optional<std::string> value,
                   const std::string& origin) {
  if (name == "config") {
    if (!value || value->empty())
      return fail(ErrorKind::kInvalid, fmt::format("{}: option 'config' needs a file", origin));
    settings.config = std::move(*value);
    return {};
  }
  const Option* option = find_option(name);
  if (!option)
    return fail(ErrorKind::kInvalid, fmt::format("{}: unknown option '{}'", origin, name));
  if (!value && option->takes == Option::Takes::kValue)
    return fail(ErrorKind::kInvalid, fmt::format("{}: option '{}' needs a value ({}={})", origin,
                                                 name, option->name, option->value));
  settings.list.push_back({option, value.value_or("true"), origin});
  return {};
}

std::vector<std::string> split_options(std::string_view text) {
  std::vector<std::string> items(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == ',')
      items.back() += text[++i];
    else if (text[i] == ',')
      items.emplace_back();
    else
      items.back() += text[i];
  }
  std::erase(items, "");
  return items;
}

Status add_dash_o(Settings& settings, std::string_view text) {
  for (const std::string& item : split_options(text)) {
    const size_t equals = item.find('=');
    const std::string name = item.substr(0, equals);
    if (is_foreign_option(name)) continue;
    std::optional<std::string> value;
    if (equals != std::string::npos) value = item.substr(equals + 1);
    if (auto added = add_setting(settings, name, std::move(value), "-o"); !added) return added;
  }
  return {};
}

Result<Settings> settings_from_environment(const std::map<std::string, std::string>& environment) {
  constexpr std::string_view kPrefix = "IMGCACHEFS_";
  Settings settings;
  for (const auto& [variable, value] : environment) {
    if (!variable.starts_with(kPrefix)) continue;
    std::string name = variable.substr(kPrefix.size());
    const bool upper = std::none_of(name.begin(), name.end(),
                                    [](unsigned char c) { return std::islower(c) != 0; });
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    if (!upper || (name != "config" && !find_option(name))) {
      settings.warnings.push_back(fmt::format("environment: {} is no option: ignored", variable));
      continue;
    }
    if (auto added = add_setting(settings, name, value, "environment: " + variable); !added)
      return fail(added.error());
  }
  return settings;
}

std::map<const Option*, const Setting*> winning_settings(
    const std::vector<const Settings*>& layers) {
  std::map<const Option*, const Setting*> winners;
  for (const Settings* layer : layers)
    for (const Setting& setting : layer->list) winners[setting.option] = &setting;
  return winners;
}

Status apply(const std::vector<const Settings*>& layers, MountOptions& options) {
  auto set = [](const Setting& setting, MountOptions& into) -> Status {
    auto done = setting.option->set(into, setting.value);
    if (done) return {};
    return fail(done.error().kind,
                fmt::format("{}: option '{}', value '{}': {}", setting.origin, setting.option->name,
                            setting.value, done.error().message));
  };
  MountOptions scratch;
  for (const Settings* layer : layers) {
    for (const std::string& warning : layer->warnings) options.warnings.push_back(warning);
    for (const Setting& setting : layer->list)
      if (auto done = set(setting, scratch); !done) return done;
  }
  // Only what wins may leave a trace (a warning of a value nobody uses would be wrong).
  for (const auto& [option, setting] : winning_settings(layers))
    if (auto done = set(*setting, options); !done) return done;
  return {};
}

}  // namespace imgcachefs
