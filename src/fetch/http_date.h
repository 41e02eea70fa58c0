// HTTP-date (RFC 9110 section 5.6.7), in its three forms.
#pragma once

#include <optional>
#include <string>

#include "base/units.h"

namespace imgcachefs {

std::optional<WallTime> parse_http_date(const std::string& text);

}  // namespace imgcachefs
