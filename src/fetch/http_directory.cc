#include "fetch/http_directory.h"

#include <fmt/format.h>

#include <array>

#include "base/log.h"
#include "fetch/autoindex.h"
#include "fetch/digest_headers.h"
#include "fetch/first_byte.h"
#include "fetch/http_answer.h"
#include "fetch/http_client.h"
#include "fetch/http_date.h"
#include "fetch/ranged_read.h"
#include "fetch/remote_checksum_list.h"
#include "fetch/url.h"

namespace imgcachefs {
namespace {

constexpr size_t kLongestListing = 64 << 20;

class HttpDirectory : public Upstream {
 public:
  HttpDirectory(Url url, const HttpConfig& config, std::chrono::seconds believe,
                std::shared_ptr<UpstreamStats> stats)
      : url_(std::move(url)),
        retries_(config.retries),
        stats_(std::move(stats)),
        client_(config, *stats_),
        // The strongest first: the first list that names an image decides.
        lists_{list("SHA512SUMS", DigestAlgo::kSha512, believe),
               list("SHA256SUMS", DigestAlgo::kSha256, believe),
               list("MD5SUMS", DigestAlgo::kMd5, believe)} {}

  Result<ImageInfo> stat(const ImageId& id, Patience patience, std::stop_token stop) override;
  Result<std::vector<CatalogueEntry>> list(Patience patience, std::stop_token stop) override;
  Result<std::optional<Digest>> digest(const ImageInfo& info, bool fresh,
                                       std::stop_token stop) override;
  Result<ReadOutcome> read(const ImageInfo& info, ByteRange range, ByteSink& sink,
                           std::stop_token stop) override;
  const UpstreamStats& stats() const override { return *stats_; }

 private:
  class Place;

  // What the head of an image says.
  struct Look {
    HttpHead head;
    uint64_t size = 0;
    RangeSupport ranges = RangeSupport::kUnknown;
  };
  Result<Look> look(const ImageId& id, Patience patience, std::stop_token stop);
  Result<Look> look_by_range(HttpQuestion question, std::stop_token stop);

  RemoteChecksumList list(const char* name, DigestAlgo algo, std::chrono::seconds believe) {
    return {client_, *stats_, url_.str() + name, algo, believe, retries_};
  }
  std::string url_of(const ImageId& id) const { return url_.str() + percent_encode(id.str()); }
  HttpQuestion question(std::string url, Patience patience) const;

  const Url url_;
  const unsigned retries_;
  const std::shared_ptr<UpstreamStats> stats_;
  HttpClient client_;
  std::array<RemoteChecksumList, 3> lists_;
  std::atomic<bool> no_ranges_{false};  // the server was seen to ignore one
};

HttpQuestion HttpDirectory::question(std::string url, Patience patience) const {
  HttpQuestion question{.request = {.url = std::move(url)}, .good = {200}, .retries = retries_};
  question.limit(patience);
  return question;
}

Result<HttpDirectory::Look> HttpDirectory::look(const ImageId& id, Patience patience,
                                                std::stop_token stop) {
  const auto begin = std::chrono::steady_clock::now();
  HttpQuestion asked = question(url_of(id), patience);
  asked.request.head = true;
  asked.good = {200, 400, 405, 501};  // all but the first: a server that knows no HEAD
  auto answer = ask(client_, *stats_, asked, stop);
  if (!answer) return fail(answer.error());

  Look look{.head = std::move(answer->head)};
  if (auto length = look.head.content_length(); length && look.head.status == 200) {
    look.size = *length;
  } else {
    HttpQuestion second = question(url_of(id), patience);
    if (second.request.total_timeout)  // what the first question took of it is gone
      *second.request.total_timeout -= std::chrono::duration_cast<std::chrono::milliseconds>(
          std::chrono::steady_clock::now() - begin);
    auto by_range = look_by_range(std::move(second), stop);
    if (!by_range) return by_range;
    look = std::move(*by_range);
  }
  // Servers send who asks for a directory to its name with a slash, and then a page.
  if (auto end = Url::parse(look.head.url); end && end->path.ends_with('/'))
    return fail(ErrorKind::kNotFound,
                fmt::format("{}: a directory, not an image", redacted_url(url_of(id))));
  const std::string accepted = look.head.header("accept-ranges").value_or("");
  if (no_ranges_ || accepted == "none")
    look.ranges = RangeSupport::kNo;
  else if (accepted == "bytes" && look.ranges == RangeSupport::kUnknown)
    look.ranges = RangeSupport::kYes;
  return look;
}

// The size from the answer to a GET of the first byte. A server that sends everything instead is
// left at the first bytes of it.
Result<HttpDirectory::Look> HttpDirectory::look_by_range(HttpQuestion asked, std::stop_token stop) {
  asked.request.headers.push_back(first_byte_header());
  asked.good = {200, 206, 416};
  auto answer = ask(client_, *stats_, asked, stop);
  if (!answer) return fail(answer.error());
  const auto seen = SizeByFirstByte::of(answer->head);
  if (!seen)
    return fail(ErrorKind::kProtocol, fmt::format("{}: the server does not tell its size",
                                                  redacted_url(answer->head.url)));
  if (seen->ranges == RangeSupport::kNo) no_ranges_ = true;
  return Look{.head = std::move(answer->head), .size = seen->size, .ranges = seen->ranges};
}

Result<ImageInfo> HttpDirectory::stat(const ImageId& id, Patience patience, std::stop_token stop) {
  auto seen = look(id, patience, stop);
  if (!seen) return fail(seen.error());
  const Validator validator = seen->head.validator();
  return ImageInfo{.id = id,
                   .size = seen->size,
                   .validator = validator,
                   .mtime = parse_http_date(validator.last_modified),
                   .ranges = seen->ranges,
                   // The head may carry one, but the lists come first: digest() knows.
                   .digest = std::nullopt};
}

Result<std::vector<CatalogueEntry>> HttpDirectory::list(Patience patience, std::stop_token stop) {
  HttpQuestion asked = question(url_.str(), patience);
  asked.body_limit = kLongestListing;
  auto answer = ask(client_, *stats_, asked, stop);
  if (!answer) return fail(answer.error());
  auto from = Url::parse(answer->head.url);
  if (!from) return fail(from.error());
  auto ids = parse_autoindex(answer->body, answer->head.header("content-type").value_or(""), *from);
  if (!ids) return fail(ids.error().in(redacted_url(answer->head.url)));
  std::vector<CatalogueEntry> entries;
  entries.reserve(ids->size());
  for (ImageId& id : *ids) entries.push_back({std::move(id)});
  return entries;
}

Result<std::optional<Digest>> HttpDirectory::digest(const ImageInfo& info, bool fresh,
                                                    std::stop_token stop) {
  for (RemoteChecksumList& checksums : lists_) {
    auto found = checksums.find(info.id.str(), fresh, stop);
    if (!found || *found) return found;
  }
  auto seen = look(info.id, Patience::kFull, stop);
  if (!seen) return fail(seen.error());
  if (seen->size != info.size || !info.validator.same_version(seen->head.validator()))
    return fail(ErrorKind::kStale,
                fmt::format("{}: changed upstream", redacted_url(seen->head.url)));
  return digest_of_headers(seen->head);
}

// An image in it. The server knows ranges, or it does not, for all its images.
class HttpDirectory::Place : public ImagePlace {
 public:
  Place(HttpDirectory& directory, const ImageId& id) : directory_(directory), id_(id) {}

  Result<HttpRequest> request(std::stop_token) override {
    return HttpRequest{.url = directory_.url_of(id_)};
  }
  bool knows_no_ranges() const override { return directory_.no_ranges_; }
  void found_no_ranges() override { directory_.no_ranges_ = true; }

 private:
  HttpDirectory& directory_;
  const ImageId& id_;
};

Result<ReadOutcome> HttpDirectory::read(const ImageInfo& info, ByteRange range, ByteSink& sink,
                                        std::stop_token stop) {
  Place place(*this, info.id);
  return ranged_read(client_, *stats_, retries_, redacted_url(url_of(info.id)), place, info, range,
                     sink, std::move(stop));
}

}  // namespace

Result<std::unique_ptr<Upstream>> open_http_directory(const std::string& text,
                                                      const HttpConfig& config,
                                                      std::chrono::seconds believe,
                                                      std::shared_ptr<UpstreamStats> stats) {
  auto url = Url::parse(text);
  const std::string shown = redacted_url(text);
  if (!url) return fail(url.error().in(shown));
  auto invalid = [&](std::string_view why) {
    return fail(ErrorKind::kInvalid, fmt::format("{}: {}", shown, why));
  };
  if (!url->user_info.empty())
    return invalid("user and password do not belong into the URL; use credentials=FILE");
  if (!url->query.empty()) return invalid("a directory has no query");
  if (auto readable = config.check_files(); !readable) return fail(readable.error());
  if (!url->path.ends_with('/')) url->path += '/';
  return std::make_unique<HttpDirectory>(std::move(*url), config, believe, std::move(stats));
}

}  // namespace imgcachefs
