// Base64 as RFC 4648 section 4 has it: the ordinary alphabet, with padding, in one line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace imgcachefs {

std::string base64_encode(std::string_view bytes);
// nullopt when it is none. The padding may be left out, as some writers do.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace imgcachefs
