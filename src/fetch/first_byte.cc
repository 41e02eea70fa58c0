#include "fetch/first_byte.h"

#include "fetch/content_range.h"

namespace imgcachefs {

std::optional<SizeByFirstByte> SizeByFirstByte::of(const HttpHead& answer) {
  if (answer.status == 200) {
    const auto length = answer.content_length();
    if (!length) return std::nullopt;
    return SizeByFirstByte{*length, *length > 1 ? RangeSupport::kNo : RangeSupport::kUnknown};
  }
  const auto range = parse_content_range(answer.header("content-range").value_or(""));
  if (!range || !range->total) return std::nullopt;
  if (answer.status == 206) return SizeByFirstByte{*range->total, RangeSupport::kYes};
  // 416 to the first byte can only mean that there is none.
  if (answer.status != 416 || *range->total != 0) return std::nullopt;
  return SizeByFirstByte{};
}

}  // namespace imgcachefs
