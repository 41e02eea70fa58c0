// The Content-Range header of 206 and 416 answers (RFC 9110 section 14.4).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/byte_range.h"

namespace imgcachefs {

struct ContentRange {
  std::optional<ByteRange> range;  // half-open; absent in "bytes */N"
  std::optional<uint64_t> total;   // absent in "bytes a-b/*"
  bool operator==(const ContentRange&) const = default;
};

// nullopt when the text is none, or makes no sense (a last byte before the first, or past the end).
std::optional<ContentRange> parse_content_range(std::string_view text);

// A decimal number and nothing else, as Content-Length has it.
std::optional<uint64_t> parse_content_length(std::string_view text);

}  // namespace imgcachefs
