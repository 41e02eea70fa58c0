// Images as JSON: Glance's record and ours beside it (DESIGN 2.6).
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cache/eviction.h"
#include "ctl/cache_view.h"

namespace imgcachefs {

using Json = nlohmann::ordered_json;

Json to_json(const ImageEntry& entry);
Json to_json(const Removals& removals);
Json text_or_null(const std::string& text);  // "" is null
std::string to_line(const Json& json);       // the same in one line
std::string to_text(const Json& json);       // what is no UTF-8 is replaced rather than refused

std::string_view state_of(Place place);  // "cached", "incomplete", "invalid", "queued"

}  // namespace imgcachefs
