// The bytes of an image over as many GETs as it takes: Upstream::read(), for every kind of server.
//
// Each attempt asks for what the sink still lacks, so a body that was cut is gone on with where it
// stopped. A server that turns out to know no ranges is asked for the whole image instead, if that
// is what the caller wants; what the sink has already is passed over.
#pragma once

#include <optional>
#include <stop_token>

#include "fetch/http_client.h"
#include "fetch/image_transfer.h"
#include "fetch/retry.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// Where an image is read from, and what is particular about it there. Of one read(), in one thread.
class ImagePlace {
 public:
  virtual ~ImagePlace() = default;

  // A GET of the whole image, for the next attempt.
  virtual Result<HttpRequest> request(std::stop_token stop) = 0;
  virtual HeadCheck head_check() const { return &check_validator; }

  virtual bool knows_no_ranges() const = 0;  // as far as was seen
  virtual void found_no_ranges() = 0;        // this was seen
  // Whether a range that failed so only failed for being one. `given_up`: the retries are used up.
  virtual bool is_for_being_a_range(const Failure&, bool /*given_up*/) const { return false; }

  // True: what refused the request that was made last is put right (a login that had run out), ask
  // again at once. `answer`: the head of what it was answered with, null when there was none.
  virtual bool put_right(const Failure&, const HttpHead* /*answer*/) { return false; }
  // A failure in the words of this kind of server, which may be asked about it.
  virtual Failure explained(Failure failure, std::stop_token) { return failure; }
};

// As Upstream::read(). `what`: named in errors and in the log.
Result<ReadOutcome> ranged_read(HttpClient& client, UpstreamStats& stats, unsigned retries,
                                const std::string& what, ImagePlace& place, const ImageInfo& info,
                                ByteRange range, ByteSink& sink, std::stop_token stop);

}  // namespace imgcachefs
