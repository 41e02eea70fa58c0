// Percent-encoding and form fields, as servers decode them (RFC 3986; WHATWG URL,
// application/x-www-form-urlencoded).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace imgcachefs::test {

std::string percent_decoded(std::string_view text);

// "a=1&b=x+y" of a query or a body, in order; without '=' the value is "".
std::vector<std::pair<std::string, std::string>> form_fields(std::string_view text);

}  // namespace imgcachefs::test
