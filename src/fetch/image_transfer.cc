#include "fetch/image_transfer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace imgcachefs {

std::optional<Error> check_validator(const ImageInfo& info, const HttpHead& head) {
  if (info.validator.same_version(head.validator())) return std::nullopt;
  return Error{ErrorKind::kStale, "changed upstream (ETag or Last-Modified)"};
}

ImageTransfer::ImageTransfer(const ImageInfo& info, HeadCheck check, ByteRange rest, bool ranged,
                             bool whole, ByteSink& sink)
    : info_(info),
      check_(check),
      rest_(rest),
      ranged_(ranged),
      whole_(whole),
      sink_(sink),
      position_(rest.begin),
      end_(rest.end) {}

HttpRequest ImageTransfer::request(HttpRequest request) const {
  // A closed range: an open one would bring the tail of a longer version.
  if (ranged_)
    request.headers.emplace_back("Range", fmt::format("bytes={}-{}", rest_.begin, rest_.end - 1));
  return request;
}

bool ImageTransfer::on_head(const HttpHead& head) {
  shown_url_ = redacted_url(head.url);
  failure_ = judge(head);
  return !failure_;
}

bool ImageTransfer::on_body(std::span<const std::byte> bytes) {
  if (skip_ > 0) {
    const size_t n = static_cast<size_t>(std::min<uint64_t>(skip_, bytes.size()));
    skip_ -= n;
    bytes = bytes.subspan(n);
  }
  const size_t n = static_cast<size_t>(std::min<uint64_t>(end_ - position_, bytes.size()));
  if (n > 0) {
    if (!sink_.write(bytes.first(n))) {
      failure_ = failure(ErrorKind::kCancelled, "cancelled by the reader");
      return false;
    }
    position_ += n;
  }
  if (n == bytes.size()) return true;
  failure_ = failure(ErrorKind::kProtocol, "the body is longer than it should be");
  return false;
}

std::optional<Failure> ImageTransfer::outcome(const tl::expected<HttpHead, Failure>& ended) const {
  if (failure_) return failure_;
  if (position_ == rest_.end) return std::nullopt;  // whatever became of the connection then
  if (!ended) return ended.error();
  if (position_ == end_) return std::nullopt;
  return Failure{
      .error = {ErrorKind::kUnavailable, fmt::format("{}: the body ended at byte {} and not at {}",
                                                     shown_url_, position_, end_)},
      .transient = true};
}

std::optional<Failure> ImageTransfer::judge(const HttpHead& head) {
  if (head.status == 200) return judge_whole(head);
  if (head.status == 206 && ranged_) return judge_part(head);
  if (head.status == 416 && ranged_) return judge_unsatisfiable(head);
  return status_failure(head);
}

std::optional<Failure> ImageTransfer::judge_whole(const HttpHead& head) {
  if (auto wrong = check_(info_, head)) return failure(wrong->kind, wrong->message);
  if (auto length = head.content_length(); length && *length != info_.size)
    return failure(ErrorKind::kStale,
                   fmt::format("changed upstream ({} bytes, was {})", *length, info_.size));
  range_was_ignored_ = ranged_;
  if (!whole_) return failure(ErrorKind::kNoRanges, "the server sends no ranges");
  skip_ = position_;
  end_ = info_.size;
  return std::nullopt;
}

std::optional<Failure> ImageTransfer::judge_part(const HttpHead& head) {
  if (head.header("content-type").value_or("").starts_with("multipart/"))
    return failure(ErrorKind::kProtocol, "several parts where one range was asked for");
  const std::string text = head.header("content-range").value_or("");
  const auto got = parse_content_range(text);
  if (!got || !got->range || !got->total)
    return failure(ErrorKind::kProtocol, fmt::format("206 with Content-Range '{}'", text));
  if (auto wrong = check_(info_, head)) return failure(wrong->kind, wrong->message);
  if (*got->total != info_.size)
    return failure(ErrorKind::kStale,
                   fmt::format("changed upstream ({} bytes, was {})", *got->total, info_.size));
  if (got->range->begin != rest_.begin || got->range->end > rest_.end)
    return failure(ErrorKind::kProtocol,
                   fmt::format("bytes {}-{} were asked for, Content-Range is '{}'", rest_.begin,
                               rest_.end - 1, text));
  if (auto length = head.content_length(); length && *length != got->range->size())
    return failure(ErrorKind::kProtocol,
                   fmt::format("Content-Length {} with Content-Range '{}'", *length, text));
  end_ = got->range->end;
  return std::nullopt;
}

std::optional<Failure> ImageTransfer::judge_unsatisfiable(const HttpHead& head) const {
  const auto got = parse_content_range(head.header("content-range").value_or(""));
  if (got && got->total && *got->total != info_.size)
    return failure(ErrorKind::kStale,
                   fmt::format("changed upstream ({} bytes, was {})", *got->total, info_.size));
  Failure refused = failure(ErrorKind::kProtocol, "416 to a range that lies in the image");
  refused.status = head.status;
  return refused;
}

Failure ImageTransfer::failure(ErrorKind kind, std::string_view why) const {
  return final_failure(kind, fmt::format("{}: {}", shown_url_, why));
}

}  // namespace imgcachefs
