// The Link header (RFC 8288 section 3), by which lists tell where their next page is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace imgcachefs {

// The target of the first link of the relation `rel` ("next"), as sent; nullopt when there is none.
// What is no link ends the search.
std::optional<std::string> link_target(std::string_view header, std::string_view rel);

}  // namespace imgcachefs
