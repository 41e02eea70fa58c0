#include "fetch/remote_checksum_list.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "base/log.h"
#include "fetch/http_answer.h"

namespace imgcachefs {
namespace {

constexpr size_t kLongestList = 16 << 20;

}  // namespace

RemoteChecksumList::RemoteChecksumList(HttpClient& client, UpstreamStats& stats, std::string url,
                                       DigestAlgo algo, std::chrono::seconds believe,
                                       unsigned retries)
    : client_(client),
      stats_(stats),
      url_(std::move(url)),
      algo_(algo),
      believe_(believe),
      retries_(retries) {}

Result<std::optional<Digest>> RemoteChecksumList::find(const std::string& name, bool fresh,
                                                       std::stop_token stop) {
  std::unique_lock lock(mutex_);
  // Good is an answer that came during this call or, if `fresh`, that was asked for during it.
  const uint64_t oldest_good = fresh ? asked_ + 1 : answered_ + 1;
  const uint64_t failed_before = failed_;
  for (;;) {
    if (answered_ >= oldest_good || (!fresh && believed())) return known_->list.find(name);
    // The failure of a request that others made in our stead is ours, too: not each of a crowd of
    // readers shall go through all the retries, one after the other.
    if (failed_ > failed_before && (!fresh || failed_ >= oldest_good) &&
        error_->kind != ErrorKind::kCancelled)
      return fail(*error_);
    if (asking_) {
      if (!changed_.wait(lock, stop, [this] { return !asking_; }))
        return fail(ErrorKind::kCancelled, redacted_url(url_) + ": cancelled");
      continue;
    }
    asking_ = true;
    const uint64_t number = ++asked_;
    const std::optional<Known> old = known_;
    lock.unlock();
    auto got = ask_upstream(old, fresh, stop);
    lock.lock();
    asking_ = false;
    changed_.notify_all();
    if (!got) {
      failed_ = number;
      error_ = got.error();
      return fail(got.error());
    }
    known_ = std::move(*got);
    answered_ = number;
  }
}

bool RemoteChecksumList::believed() const {
  // In whole seconds: a `believe` of for ever must not overflow the clock's nanoseconds.
  return known_ && std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::steady_clock::now() - known_->since) < believe_;
}

Result<RemoteChecksumList::Known> RemoteChecksumList::ask_upstream(std::optional<Known> old,
                                                                   bool fresh,
                                                                   std::stop_token stop) const {
  HttpQuestion question{.request = {.url = url_},
                        .good = {200, 304, 403, 404, 410},
                        .body_limit = kLongestList,
                        .retries = retries_};
  auto& headers = question.request.headers;
  if (fresh) {
    headers.emplace_back("Cache-Control", "no-cache");  // for proxies on the way
  } else if (old) {
    if (!old->validator.etag.empty())
      headers.emplace_back("If-None-Match", old->validator.etag);
    else if (!old->validator.last_modified.empty())
      headers.emplace_back("If-Modified-Since", old->validator.last_modified);
  }
  const bool conditional = !fresh && !headers.empty();

  const auto now = std::chrono::steady_clock::now();
  auto answer = ask(client_, stats_, question, stop);
  if (!answer) return fail(answer.error());
  switch (answer->head.status) {
    case 200:
      return Known{ChecksumList::parse(answer->body, algo_), answer->head.validator(), now};
    case 304:
      if (!conditional)
        return fail(ErrorKind::kProtocol, redacted_url(url_) + ": 304 that was not asked for");
      old->since = now;
      return std::move(*old);
    case 403:
      spdlog::debug("{}: 403, taken for: there is no such list", redacted_url(url_));
      [[fallthrough]];
    default:
      return Known{{}, {}, now};
  }
}

}  // namespace imgcachefs
