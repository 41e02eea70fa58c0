#include "fetch/oci_blobs.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/log.h"
#include "fetch/first_byte.h"
#include "fetch/oci_names.h"
#include "fetch/ranged_read.h"

namespace imgcachefs {
namespace {

std::string blob_target(const std::string& repository, const Digest& blob) {
  return fmt::format("/v2/{}/blobs/{}", repository, blob.tagged());
}

// Whether an answer says that it is of another blob. A digest of another kind says nothing.
std::optional<Error> other_blob(const Digest& blob, const HttpHead& head) {
  const auto sent = parse_blob_digest(head.header("docker-content-digest").value_or(""));
  if (!sent || sent->algo != blob.algo || *sent == blob) return std::nullopt;
  return Error{ErrorKind::kProtocol,
               fmt::format("another blob was sent: {} for {}", sent->tagged(), blob.tagged())};
}

// Its ETag does not count: stores that a registry sends us to make their own.
std::optional<Error> check_blob_head(const ImageInfo& info, const HttpHead& head) {
  const auto blob = digest_of(info.id);
  return blob ? other_blob(*blob, head) : std::nullopt;
}

Error in_no_repository(const Digest& blob) {
  return {ErrorKind::kNotFound,
          fmt::format("blob {}: no repository is known to have it", blob.tagged())};
}

}  // namespace

Result<ImageInfo> OciBlobs::look(const std::string& repository, const Digest& blob,
                                 const Limits& limits) {
  auto seen = ask(repository, blob, limits);
  if (!seen) {
    if (seen.error().kind == ErrorKind::kNotFound) lost(repository, blob);
    return fail(seen.error());
  }
  found(repository, blob, seen->size);
  if (seen->ranges == RangeSupport::kNo) found_no_ranges(id_of_blob(blob));
  return info_of(blob, seen->size, seen->ranges);
}

Result<OciBlobs::Seen> OciBlobs::ask(const std::string& repository, const Digest& blob,
                                     const Limits& limits) {
  RegistryQuestion question{.target = blob_target(repository, blob),
                            .scope = pull_scope(repository)};
  if (no_head_) return ask_by_first_byte(std::move(question), limits);
  question.head = true;
  // 403 of a store: its URL was signed for a GET only.
  question.good = {200, 403, 405, 501};
  if (blob.algo != DigestAlgo::kSha256) question.good.push_back(400);  // not every registry's
  auto answer = client_.ask(question, limits);
  if (!answer) return fail(answer.error());
  const HttpHead& head = answer->head;
  const int status = head.status;
  const std::string shown = redacted_url(head.url);
  if (status == 400)
    return fail(ErrorKind::kNotFound,
                fmt::format("{}: HTTP status 400: the registry knows no {} digests", shown,
                            to_string(blob.algo)));
  if (status == 403 && client_.is_own(head)) {
    const Error refused = status_failure(head).error;
    client_.stats().failed(refused);
    return fail(refused);
  }
  if (auto wrong = other_blob(blob, head); wrong && status == 200) return fail(wrong->in(shown));
  if (status == 405 || status == 501) no_head_ = true;
  // 0 is also what servers say that do not know.
  const uint64_t size = head.content_length().value_or(0);
  if (status != 200 || size == 0) {
    question.head = false;
    return ask_by_first_byte(std::move(question), limits);
  }
  Seen seen{.size = size};
  const std::string accepted = head.header("accept-ranges").value_or("");
  if (accepted == "bytes") seen.ranges = RangeSupport::kYes;
  if (accepted == "none") seen.ranges = RangeSupport::kNo;
  return seen;
}

Result<OciBlobs::Seen> OciBlobs::ask_by_first_byte(RegistryQuestion question,
                                                   const Limits& limits) {
  question.headers = {first_byte_header()};
  question.good = {200, 206, 416};
  auto answer = client_.ask(question, limits);
  if (!answer) return fail(answer.error());
  const auto size = SizeByFirstByte::of(answer->head);
  if (!size)
    return fail(ErrorKind::kProtocol, fmt::format("{}: the registry does not tell its size",
                                                  redacted_url(answer->head.url)));
  return Seen{size->size, size->ranges};
}

std::optional<ImageInfo> OciBlobs::known(const Digest& blob) {
  const auto info = known_.infos->get(blob);
  if (!info) return std::nullopt;
  return info_of(blob, info->length, RangeSupport::kUnknown);
}

std::optional<ImageInfo> OciBlobs::known_in(const std::string& repository, const Digest& blob) {
  if (!known_.membership->contains(repository, blob)) return std::nullopt;
  auto info = known(blob);
  if (info) places_->found(blob, repository);
  return info;
}

Result<ImageInfo> OciBlobs::stat(const Digest& blob, const Limits& limits) {
  if (auto info = known(blob)) return std::move(*info);
  Error error = in_no_repository(blob);
  for (const std::string& repository : repositories_of(blob)) {
    auto info = look(repository, blob, limits);
    if (info) return info;
    const ErrorKind kind = info.error().kind;
    if (kind != ErrorKind::kNotFound && kind != ErrorKind::kDenied) return info;
    // That it may be pulled nowhere is more than that it is not in this one.
    if (error.kind != ErrorKind::kDenied) error = info.error();
  }
  return fail(std::move(error));
}

std::vector<std::string> OciBlobs::repositories_of(const Digest& blob) {
  std::vector<std::string> repositories = places_->of(blob);
  if (!repositories.empty()) return repositories;
  const auto info = known_.infos->get(blob);
  if (info && is_repository_name(info->path)) repositories.push_back(info->path);  // anybody's text
  return repositories;
}

ImageInfo OciBlobs::info_of(const Digest& blob, uint64_t size, RangeSupport ranges) const {
  ImageId id = id_of_blob(blob);
  if (without_ranges_.contains(id)) ranges = RangeSupport::kNo;
  return ImageInfo{.id = std::move(id),
                   .size = size,
                   .validator = {.etag = fmt::format("\"{}\"", blob.tagged()), .last_modified = {}},
                   .mtime = std::nullopt,
                   .ranges = ranges,
                   .digest = blob};
}

void OciBlobs::found(const std::string& repository, const Digest& blob, uint64_t size) {
  places_->found(blob, repository);
  known_.membership->add(repository, blob);
  known_.infos->set(blob, {.path = repository, .length = size});
}

void OciBlobs::lost(const std::string& repository, const Digest& blob) {
  places_->lost(blob, repository);
  known_.membership->remove(repository, blob);
  if (auto info = known_.infos->get(blob); info && info->path == repository)
    known_.infos->set(blob, {.path = "", .length = info->length});
}

void OciBlobs::found_no_ranges(const ImageId& id) {
  if (without_ranges_.add(id))
    spdlog::info("{}: the registry sends no ranges of it: it is read as a whole", id.str());
}

// A blob, in one after the other of the repositories that may have it.
class OciBlobs::Place : public ImagePlace {
 public:
  Place(OciBlobs& blobs, const ImageInfo& info, const Digest& blob)
      : blobs_(blobs),
        client_(blobs.client_),
        info_(info),
        blob_(blob),
        repositories_(blobs.repositories_of(blob)) {}

  Result<HttpRequest> request(std::stop_token stop) override {
    for (; at_ < repositories_.size(); ++at_) {
      auto authorization = client_.authorization(pull_scope(repositories_[at_]),
                                                 {.patience = Patience::kFull, .stop = stop});
      if (authorization) {
        sent_ = std::move(*authorization);
        ++requests_;
        return client_.request(blob_target(repositories_[at_], blob_), sent_);
      }
      if (authorization.error().kind != ErrorKind::kDenied) return fail(authorization.error());
      remember(authorization.error());
    }
    return fail(reason_.value_or(in_no_repository(blob_)));
  }

  HeadCheck head_check() const override { return &check_blob_head; }
  bool knows_no_ranges() const override { return blobs_.without_ranges_.contains(info_.id); }
  void found_no_ranges() override { blobs_.found_no_ranges(info_.id); }

  bool put_right(const Failure& failure, const HttpHead* answer) override {
    const int status = failure.status;
    if (answer == nullptr || (status != 401 && status != 403 && status != 404)) return false;
    Error error = failure.error;
    if (!client_.is_own(*answer)) {
      error = RegistryClient::of_elsewhere(*answer);
    } else if (status == 401) {
      refusals_ = refused_at_ + 1 == requests_ ? refusals_ + 1 : 1;
      refused_at_ = requests_;
      auto again = client_.refused(pull_scope(repositories_[at_]), sent_, *answer);
      if (again && refusals_ < RegistryClient::kMostRefusals) return true;
      if (!again) error = again.error();
    } else if (status == 404) {
      blobs_.lost(repositories_[at_], blob_);
    }
    remember(std::move(error));
    if (at_ + 1 == repositories_.size()) return false;
    ++at_;
    return true;
  }

  Failure explained(Failure failure, std::stop_token) override {
    if (failure.error.kind == ErrorKind::kStale) {
      // Its digest is what it was, so it is the size that somebody got wrong.
      failure.error.message = fmt::format("blob {}: it is not as long as was believed: {}",
                                          blob_.tagged(), failure.error.message);
      const auto known = blobs_.known_.infos->get(blob_);
      if (known && known->length == info_.size) {
        spdlog::warn("{}; what was known of its size is forgotten", failure.error.message);
        blobs_.forget(blob_);
      }
    } else if (reason_ &&
               (failure.status == 401 || failure.status == 403 || failure.status == 404)) {
      failure.error = *reason_;
      // Of where the registry has its blobs: it sends us to another place, or with a URL that has
      // not run out.
      failure.transient = reason_->kind == ErrorKind::kUnavailable;
      at_ = 0;
      reason_.reset();
    }
    return failure;
  }

 private:
  // Why it could not be had, of all repositories: that it is not in one says least.
  void remember(Error error) {
    if (!reason_ || reason_->kind == ErrorKind::kNotFound) reason_ = std::move(error);
  }

  OciBlobs& blobs_;
  RegistryClient& client_;
  const ImageInfo& info_;
  const Digest& blob_;
  const std::vector<std::string> repositories_;
  size_t at_ = 0;
  std::string sent_;  // with the last request
  std::optional<Error> reason_;
  int requests_ = 0, refused_at_ = -1, refusals_ = 0;  // 401 in a row, up to request refused_at_
};

Result<ReadOutcome> OciBlobs::read(const Digest& blob, const ImageInfo& info, ByteRange range,
                                   ByteSink& sink, std::stop_token stop) {
  Place place(*this, info, blob);
  return ranged_read(client_.http(), client_.stats(), client_.retries(),
                     fmt::format("blob {}", blob.tagged()), place, info, range, sink,
                     std::move(stop));
}

}  // namespace imgcachefs
