// One GET for an image or a part of it, held against what was asked.
//
// Nothing reaches the sink before the head of the response was found to be the right answer: the
// asked version, the asked place, the asked length. So whatever a server does, the sink gets bytes
// of the right version at the right offset, or none; and never one byte more than was asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/byte_range.h"
#include "fetch/content_range.h"
#include "fetch/http_client.h"
#include "fetch/retry.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// What is wrong with an answer that has data of an image, as far as its head tells: kStale when it
// is of another version than `info` speaks of.
using HeadCheck = std::optional<Error> (*)(const ImageInfo& info, const HttpHead& head);
// By ETag and Last-Modified.
std::optional<Error> check_validator(const ImageInfo& info, const HttpHead& head);

class ImageTransfer : public ResponseHandler {
 public:
  // `rest`: what the sink still lacks. With a Range header (`ranged`), or without one, which asks
  // for the whole image. `whole`: the caller wants the image to its end, so the whole of it is a
  // usable answer to a range, too; what the sink has already is passed over.
  ImageTransfer(const ImageInfo& info, HeadCheck check, ByteRange rest, bool ranged, bool whole,
                ByteSink& sink);

  // Makes a request for the image one for what this transfer wants of it.
  HttpRequest request(HttpRequest image) const;

  bool on_head(const HttpHead& head) override;
  bool on_body(std::span<const std::byte> bytes) override;

  // What is wrong with the transfer that ended so; nullopt: it did what it announced, though that
  // can be less than the rest.
  std::optional<Failure> outcome(const tl::expected<HttpHead, Failure>& ended) const;
  uint64_t position() const { return position_; }  // offset of the next byte the sink lacks
  bool range_was_ignored() const { return range_was_ignored_; }

 private:
  std::optional<Failure> judge(const HttpHead& head);
  std::optional<Failure> judge_whole(const HttpHead& head);
  std::optional<Failure> judge_part(const HttpHead& head);
  std::optional<Failure> judge_unsatisfiable(const HttpHead& head) const;
  Failure failure(ErrorKind kind, std::string_view why) const;

  const ImageInfo& info_;
  const HeadCheck check_;
  const ByteRange rest_;
  const bool ranged_, whole_;
  ByteSink& sink_;
  std::string shown_url_;
  uint64_t position_;
  uint64_t skip_ = 0;  // bytes still to come that the sink has already
  uint64_t end_;       // where this response ends
  bool range_was_ignored_ = false;
  std::optional<Failure> failure_;
};

}  // namespace imgcachefs
