#include "fetch/http_head.h"

#include "fetch/content_range.h"

namespace imgcachefs {

std::optional<std::string> HttpHead::header(std::string_view lower_case_name) const {
  std::optional<std::string> joined;
  for (const auto& [name, value] : headers) {
    if (name != lower_case_name) continue;
    if (joined)
      *joined += ", " + value;
    else
      joined = value;
  }
  return joined;
}

Validator HttpHead::validator() const {
  return {header("etag").value_or(""), header("last-modified").value_or("")};
}

std::optional<uint64_t> HttpHead::content_length() const {
  auto text = header("content-length");
  return text ? parse_content_length(*text) : std::nullopt;
}

}  // namespace imgcachefs
