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
      retries_(retries),
      question_(redacted_url(url_)) {}

Result<std::optional<Digest>> RemoteChecksumList::find(const std::string& name, bool fresh,
                                                       std::stop_token stop) {
  auto known = question_.answer(
      {.fresh = fresh, .stop = stop}, [this](const Known& list, bool) { return believed(list); },
      [&](const Question::Known& old) { return ask_upstream(old, fresh, stop); });
  if (!known) return fail(known.error());
  return (*known)->list.find(name);
}

bool RemoteChecksumList::believed(const Known& known) const {
  // In whole seconds: a `believe` of for ever must not overflow the clock's nanoseconds.
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() -
                                                          known.since) < believe_;
}

Result<RemoteChecksumList::Known> RemoteChecksumList::ask_upstream(const Question::Known& old,
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
      return Known{old->list, old->validator, now};
    case 403:
      spdlog::debug("{}: 403, taken for: there is no such list", redacted_url(url_));
      [[fallthrough]];
    default:
      return Known{{}, {}, now};
  }
}

}  // namespace imgcachefs
