#include "fs/effective_options.h"

#include <fmt/format.h>

#include "base/log.h"

namespace imgcachefs {
namespace {

std::string without_secrets(const Option& option, const std::string& value) {
  if (value.find("://") != std::string::npos) return redacted_url(value);
  constexpr std::string_view kScheme = "http://";  // what libcurl takes a proxy without one for
  if (option.name == "proxy")
    return redacted_url(std::string(kScheme) + value).substr(kScheme.size());
  return value;
}

}  // namespace

std::string effective_options(const std::vector<const Settings*>& layers) {
  const auto winners = winning_settings(layers);
  std::string text;
  for (const Option& option : option_table()) {
    const auto winner = winners.find(&option);
    const bool given = winner != winners.end();
    const std::string value =
        given ? without_secrets(option, winner->second->value) : std::string(option.standard);
    text += fmt::format("{:<17} = {:<30} # {}\n", option.name, value,
                        given ? winner->second->origin : "default");
  }
  return text;
}

}  // namespace imgcachefs
