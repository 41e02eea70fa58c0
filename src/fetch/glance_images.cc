#include "fetch/glance_images.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <unordered_set>

#include "base/log.h"
#include "fetch/glance_record.h"
#include "fetch/http_answer.h"
#include "fetch/http_client.h"
#include "fetch/next_page.h"
#include "fetch/ranged_read.h"
#include "fetch/rangeless_images.h"
#include "fetch/url.h"
#include "fetch/utf8.h"

namespace imgcachefs {
namespace {

constexpr size_t kLongestRecord = 4 << 20;
constexpr size_t kLongestPage = 32 << 20;
// Of one listing. Glance's own default is 25 images a page when it does not like to be asked for
// more.
constexpr size_t kMostPages = 10'000;
constexpr size_t kMostImages = 1'000'000;
// Images on a page. A Glance that has much to say of each, or much to do, takes long for the first.
constexpr size_t kLongPage = 1000, kShortPage = 100;
constexpr size_t kLongestName = 255 * 4;  // Glance: 255 characters
constexpr std::string_view kImages = "/v2/images";

using SecretHeaders = decltype(HttpRequest::secret_headers);

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return text;
}

SecretHeaders token_header(const std::string& token) {
  if (token.empty()) return {};
  return {{"X-Auth-Token", token}};
}

std::string wrong_place(const std::string& shown_url) {
  return shown_url + ": HTTP status 300: no Image API v2 here, is the URL of Glance right?";
}

Error no_token(const std::string& shown_url, bool had_one) {
  return {ErrorKind::kDenied, fmt::format("{}: HTTP status 401: {}", shown_url,
                                          had_one ? "the token is refused"
                                                  : "Glance wants a token, and there is none")};
}

// Glance sends the MD5 of the whole image with each part of it, and no ETag; what ETag and
// Last-Modified there are come from a proxy, which makes them as it likes.
std::optional<Error> check_glance_head(const ImageInfo& info, const HttpHead& head) {
  if (head.header("content-type").value_or("").starts_with("text/html"))
    return Error{ErrorKind::kProtocol, "HTML instead of the image (a proxy's?)"};
  const auto sent = Digest::parse(DigestAlgo::kMd5, head.header("content-md5").value_or(""));
  const auto known = md5_of(info.validator);
  if (!sent || !known || *sent == *known) return std::nullopt;
  return Error{ErrorKind::kStale, "changed upstream (Content-MD5)"};
}

// Without its limit, which is ours to choose.
std::string without_limit(std::string_view query) {
  std::string out;
  while (!query.empty()) {
    const std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(one.size() + 1, query.size()));
    if (!one.starts_with("limit=")) out += (out.empty() ? "" : "&") + std::string(one);
  }
  return out;
}

class GlanceImages final : public Upstream, public ImageNames {
 public:
  GlanceImages(std::unique_ptr<Authenticator> authenticator, const HttpConfig& config,
               std::shared_ptr<UpstreamStats> stats)
      : authenticator_(std::move(authenticator)),
        retries_(config.retries),
        stats_(std::move(stats)),
        client_(config, *stats_) {}

  Result<ImageInfo> stat(const ImageId& id, Patience patience, std::stop_token stop) override;
  Result<std::vector<CatalogueEntry>> list(Patience patience, std::stop_token stop) override;
  ImageNames* names() override { return this; }
  Result<CatalogueEntry> find_named(const std::string& name, Patience patience,
                                    std::stop_token stop) override;
  Result<std::optional<Digest>> digest(const ImageInfo& info, bool fresh,
                                       std::stop_token stop) override;
  Result<ReadOutcome> read(const ImageInfo& info, ByteRange range, ByteSink& sink,
                           std::stop_token stop) override;
  const UpstreamStats& stats() const override { return *stats_; }

 private:
  class Place;

  // A GET of `target`, below the endpoint: a 200 with its body.
  Result<HttpAnswer> get(const std::string& target, size_t body_limit, Patience patience,
                         std::stop_token stop);
  // Every active image that `query`, without a limit, is about and that could be read; `limit` on a
  // page, or fewer when one takes too long.
  Result<std::vector<CatalogueEntry>> entries(std::string query, size_t limit, Patience patience,
                                              std::stop_token stop);
  Result<ImageInfo> usable(const GlanceRecord& record) const;

  void found_no_ranges(const ImageId& id) {
    if (without_ranges_.add(id))
      spdlog::info("{}: its store in Glance sends no ranges: it is read as a whole", id.str());
  }

  const std::unique_ptr<Authenticator> authenticator_;
  const unsigned retries_;
  const std::shared_ptr<UpstreamStats> stats_;
  HttpClient client_;
  RangelessImages without_ranges_;
  std::atomic<size_t> page_{kLongPage};  // images that Glance could list in one answer
};

Result<HttpAnswer> GlanceImages::get(const std::string& target, size_t body_limit,
                                     Patience patience, std::stop_token stop) {
  const auto begin = std::chrono::steady_clock::now();
  for (std::optional<std::string> refused;;) {
    auto access = authenticator_->access(patience, stop);
    if (!access) return fail(access.error());
    const std::string url = access->endpoint + target, shown = redacted_url(url);
    if (refused == access->token) return fail(no_token(shown, true));
    HttpQuestion question{.request = {.url = url, .secret_headers = token_header(access->token)},
                          .good = {200, 300, 401},
                          .body_limit = body_limit,
                          .retries = retries_};
    question.limit(patience, begin);
    auto answer = ask(client_, *stats_, question, stop);
    if (!answer || answer->head.status == 200) return answer;
    stats_->failed(status_failure(answer->head).error);
    if (answer->head.status == 300) return fail(ErrorKind::kProtocol, wrong_place(shown));
    if (access->token.empty()) return fail(no_token(shown, false));
    authenticator_->refused(access->token);
    if (refused) return fail(no_token(shown, true));
    refused = access->token;
  }
}

Result<ImageInfo> GlanceImages::usable(const GlanceRecord& record) const {
  const std::string& id = record.id.str();
  if (record.status == "deactivated")
    return fail(ErrorKind::kDenied, fmt::format("image {} is deactivated in Glance", id));
  if (record.status != "active")
    return fail(ErrorKind::kNotFound,
                fmt::format("image {} is not active in Glance, but {}", id, record.status));
  if (!record.size)
    return fail(ErrorKind::kProtocol, fmt::format("image {}: active and without a size", id));
  ImageInfo info = record.info();
  if (without_ranges_.contains(record.id)) info.ranges = RangeSupport::kNo;
  return info;
}

Result<ImageInfo> GlanceImages::stat(const ImageId& id, Patience patience, std::stop_token stop) {
  if (!is_glance_id(id.str()))
    return fail(ErrorKind::kNotFound, fmt::format("'{}' is not the UUID of an image", id.str()));
  auto answer =
      get(fmt::format("{}/{}", kImages, id.str()), kLongestRecord, patience, std::move(stop));
  if (!answer) return fail(answer.error());
  const std::string shown = redacted_url(answer->head.url);
  auto record = GlanceRecord::parse(answer->body);
  if (!record) return fail(record.error().in(shown));
  if (record->id != id) {
    // Databases that do not tell a from A find it all the same; Glance's files have one spelling.
    if (lower_case(record->id.str()) == lower_case(id.str()))
      return fail(ErrorKind::kNotFound,
                  fmt::format("image {}: it is spelt {}", id.str(), record->id.str()));
    return fail(ErrorKind::kProtocol, shown + ": answered with the record of another image");
  }
  return usable(*record);
}

Result<std::vector<CatalogueEntry>> GlanceImages::entries(std::string query, size_t limit,
                                                          Patience patience, std::stop_token stop) {
  std::vector<CatalogueEntry> entries;
  std::unordered_set<ImageId> known;  // an image may move to a later page while we turn them
  std::set<std::string> asked;
  bool shortened = false;
  for (;;) {
    auto answer =
        get(fmt::format("{}?limit={}&{}", kImages, limit, query), kLongestPage, patience, stop);
    if (!answer && answer.error().kind == ErrorKind::kTimeout && limit > kShortPage) {
      limit = kShortPage;  // perhaps it was too much for one answer
      shortened = true;
      continue;
    }
    // Not "there is no such image": every Glance has a list, if an empty one.
    if (!answer && answer.error().kind == ErrorKind::kNotFound)
      return fail(ErrorKind::kProtocol,
                  answer.error().message + ": no Image API v2 here, is the URL of Glance right?");
    if (!answer) return fail(answer.error());
    const std::string shown = redacted_url(answer->head.url);
    auto page = GlancePage::parse(answer->body);
    if (!page) return fail(page.error().in(shown));
    if (shortened) page_ = limit;
    for (const GlanceRecord& record : page->images) {
      auto info = usable(record);
      if (info && known.insert(record.id).second)
        entries.push_back({record.id, record.name, record.created, std::move(*info)});
    }
    if (page->next.empty()) return entries;
    auto url = query_of_next(page->next, answer->head.url, kImages);
    if (!url) return fail(url.error());
    std::string next = without_limit(*url);
    asked.insert(std::move(query));
    if (asked.contains(next) || asked.size() >= kMostPages || entries.size() > kMostImages)
      return fail(ErrorKind::kProtocol, shown + ": a list of images without an end");
    query = std::move(next);
  }
}

Result<std::vector<CatalogueEntry>> GlanceImages::list(Patience patience, std::stop_token stop) {
  return entries("status=active", page_, patience, std::move(stop));
}

Result<CatalogueEntry> GlanceImages::find_named(const std::string& name, Patience patience,
                                                std::stop_token stop) {
  auto none = [&] { return fail(ErrorKind::kNotFound, "no active image in Glance has that name"); };
  if (name.empty() || name.size() > kLongestName || !is_utf8(name) ||
      name.find('\0') != std::string::npos)
    return none();
  // Glance takes what stands before a colon for an operator, whichever it is.
  const std::string filter = name.find(':') == std::string::npos ? name : "eq:" + name;
  auto found = entries("status=active&sort=created_at:desc,id:desc&name=" + percent_encode(filter),
                       kShortPage, patience, std::move(stop));
  if (!found) return fail(found.error());
  // Databases compare names by rules of their own: without regard to case, say.
  std::erase_if(*found, [&](const CatalogueEntry& entry) { return entry.name != name; });
  auto newest = std::max_element(found->begin(), found->end(),
                                 [](const CatalogueEntry& a, const CatalogueEntry& b) {
                                   return std::tie(a.created, a.id) < std::tie(b.created, b.id);
                                 });
  if (newest == found->end()) return none();
  return std::move(*newest);
}

Result<std::optional<Digest>> GlanceImages::digest(const ImageInfo& info, bool /*fresh*/,
                                                   std::stop_token stop) {
  auto now = stat(info.id, Patience::kFull, std::move(stop));
  if (!now) return fail(now.error());
  if (now->size != info.size || !now->validator.same_version(info.validator))
    return fail(ErrorKind::kStale, fmt::format("image {}: changed upstream", info.id.str()));
  return now->digest;
}

// The data of an image in Glance.
class GlanceImages::Place : public ImagePlace {
 public:
  Place(GlanceImages& glance, const ImageInfo& info) : glance_(glance), info_(info) {}

  Result<HttpRequest> request(std::stop_token stop) override {
    auto access = glance_.authenticator_->access(Patience::kFull, std::move(stop));
    if (!access) return fail(access.error());
    const std::string url = fmt::format("{}{}/{}/file", access->endpoint, kImages, info_.id.str());
    if (refused_ == access->token) return fail(no_token(redacted_url(url), true));
    token_ = std::move(access->token);
    return HttpRequest{.url = url, .secret_headers = token_header(token_)};
  }

  HeadCheck head_check() const override { return &check_glance_head; }
  bool knows_no_ranges() const override { return glance_.without_ranges_.contains(info_.id); }
  void found_no_ranges() override { glance_.found_no_ranges(info_.id); }

  // 400 is Glance's answer where a store cannot do it. The 500 of a store that breaks at one is
  // told from that of a bad day by its patience.
  bool is_for_being_a_range(const Failure& failure, bool given_up) const override {
    return failure.status == 400 || (failure.status == 500 && given_up);
  }

  bool put_right(const Failure& failure, const HttpHead*) override {
    if (failure.status != 401) {
      refused_.reset();
      return false;
    }
    if (token_.empty()) return false;
    glance_.authenticator_->refused(token_);
    if (refused_) return false;
    glance_.stats_->failed(failure.error);
    refused_ = token_;
    return true;
  }

  Failure explained(Failure failure, std::stop_token stop) override {
    auto say = [&](std::string_view what) {
      failure.error.message += fmt::format(": {}", what);
      return failure;
    };
    switch (failure.status) {
      case 300:
        return say("no Image API v2 here, is the URL of Glance right?");
      case 401:
        return say(token_.empty() ? "Glance wants a token, and there is none"
                                  : "the token is refused");
      case 204:
      case 403:
      case 416:
        break;
      default:
        return failure;
    }
    // The image's state is what these are mostly about, and they do not tell it.
    auto now = glance_.stat(info_.id, Patience::kFull, std::move(stop));
    if (!now) {
      const bool tells = now.error().kind == ErrorKind::kNotFound ||
                         now.error().kind == ErrorKind::kDenied ||
                         now.error().kind == ErrorKind::kCancelled;
      if (tells) failure.error = now.error();
      return failure;
    }
    if (now->size != info_.size || !now->validator.same_version(info_.validator))
      return final_failure(ErrorKind::kStale,
                           fmt::format("image {}: changed upstream", info_.id.str()));
    if (failure.status == 403) return say("Glance does not let us download it");
    if (failure.status == 416) return failure;
    failure.error.kind = ErrorKind::kUnavailable;
    return say("the image is active, but its data is gone from Glance's store");
  }

 private:
  GlanceImages& glance_;
  const ImageInfo& info_;
  std::string token_;                   // of the last request
  std::optional<std::string> refused_;  // by the answer before, if it was
};

Result<ReadOutcome> GlanceImages::read(const ImageInfo& info, ByteRange range, ByteSink& sink,
                                       std::stop_token stop) {
  Place place(*this, info);
  return ranged_read(client_, *stats_, retries_, fmt::format("image {}", info.id.str()), place,
                     info, range, sink, std::move(stop));
}

}  // namespace

Result<std::unique_ptr<Upstream>> open_glance(std::unique_ptr<Authenticator> authenticator,
                                              const HttpConfig& http,
                                              std::shared_ptr<UpstreamStats> stats) {
  if (auto readable = http.check_files(); !readable) return fail(readable.error());
  HttpConfig config = http;
  config.login = {};
  return std::make_unique<GlanceImages>(std::move(authenticator), config, std::move(stats));
}

}  // namespace imgcachefs
