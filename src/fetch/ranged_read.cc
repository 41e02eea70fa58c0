#include "fetch/ranged_read.h"

#include <fmt/format.h>

namespace imgcachefs {

Result<ReadOutcome> ranged_read(HttpClient& client, UpstreamStats& stats, unsigned retries,
                                const std::string& what, ImagePlace& place, const ImageInfo& info,
                                ByteRange range, ByteSink& sink, std::stop_token stop) {
  if (range.begin > range.end || range.end > info.size)
    return fail(ErrorKind::kInvalid, fmt::format("{}: no such range: {}-{} of {} bytes", what,
                                                 range.begin, range.end, info.size));
  const bool whole = range == ByteRange{0, info.size};
  ReadOutcome outcome{.attempts = 0};
  RetryLoop retry(retries, what, stop);
  bool no_ranges = info.ranges == RangeSupport::kNo;
  for (uint64_t at = range.begin; at < range.end;) {
    no_ranges = no_ranges || place.knows_no_ranges();
    if (!whole && no_ranges)
      return fail(ErrorKind::kNoRanges, what + ": the server sends no ranges");
    auto request = place.request(stop);
    if (!request) return fail(request.error());
    ++outcome.attempts;
    const bool ranged = !whole || (at > 0 && !no_ranges);
    ImageTransfer transfer(info, place.head_check(), {at, range.end}, ranged, whole, sink);
    const auto ended = client.perform(transfer.request(std::move(*request)), transfer, stop);
    if (transfer.range_was_ignored()) place.found_no_ranges();
    const bool progress = transfer.position() > at;
    at = transfer.position();

    auto failure = transfer.outcome(ended);
    if (!failure || place.put_right(*failure, ended ? &*ended : nullptr)) continue;
    if (ranged && place.is_for_being_a_range(*failure, false)) {
      place.found_no_ranges();
      no_ranges = true;
      continue;
    }
    const Failure explained = place.explained(std::move(*failure), stop);
    auto error = retry.failed(explained, progress, stats);
    if (!error) continue;
    if (!ranged || !place.is_for_being_a_range(explained, true)) return fail(std::move(*error));
    no_ranges = true;
    retry = RetryLoop(retries, what, stop);
  }
  return outcome;
}

}  // namespace imgcachefs
