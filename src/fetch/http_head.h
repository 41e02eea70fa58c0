// The head of an HTTP response: status and headers.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "fetch/upstream.h"

namespace imgcachefs {

struct HttpHead {
  int status = 0;
  std::string url;                                           // that answered, after redirects
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, as received

  // The value of a header, several of the same name joined with ", " as RFC 9110 has it; nullopt
  // when it was not sent.
  std::optional<std::string> header(std::string_view lower_case_name) const;

  Validator validator() const;
  std::optional<uint64_t> content_length() const;  // nullopt also when it is no number
};

}  // namespace imgcachefs
