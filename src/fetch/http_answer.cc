#include "fetch/http_answer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace imgcachefs {
namespace {

class BodyBuffer : public ResponseHandler {
 public:
  explicit BodyBuffer(size_t limit) : limit_(limit) {}

  bool on_head(const HttpHead& head) override {
    return limit_ > 0 && (head.status == 200 || head.status == 201);
  }
  bool on_body(std::span<const std::byte> bytes) override {
    too_long_ = bytes.size() > limit_ - text_.size();
    if (!too_long_) text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return !too_long_;
  }

  bool too_long() const { return too_long_; }
  std::string take() { return std::move(text_); }

 private:
  size_t limit_;
  bool too_long_ = false;
  std::string text_;
};

}  // namespace

void HttpQuestion::limit(Patience patience, std::chrono::steady_clock::time_point begin) {
  if (patience == Patience::kFull) return;
  retries = 0;
  const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begin);
  request.total_timeout = std::max(kOneTryTime - spent, std::chrono::milliseconds(1));
}

Result<HttpAnswer> ask(HttpClient& client, UpstreamStats& stats, const HttpQuestion& question,
                       std::stop_token stop) {
  const std::string what = redacted_url(question.request.url);
  RetryLoop retry(question.retries, what, stop);
  for (;;) {
    BodyBuffer body(question.body_limit);
    auto head = client.perform(question.request, body, stop);
    Failure failure;
    if (!head) {
      failure = head.error();
    } else if (body.too_long()) {
      failure = final_failure(ErrorKind::kProtocol,
                              fmt::format("{}: longer than {} bytes", what, question.body_limit));
    } else if (std::find(question.good.begin(), question.good.end(), head->status) ==
               question.good.end()) {
      failure = status_failure(*head);
    } else {
      return HttpAnswer{std::move(*head), body.take()};
    }
    if (auto error = retry.failed(failure, false, stats)) return fail(std::move(*error));
  }
}

}  // namespace imgcachefs
