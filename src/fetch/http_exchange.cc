#include "fetch/http_exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/log.h"

namespace imgcachefs {
namespace {

// A body nobody wants is read to its end when it is short, because that keeps the connection.
constexpr uint64_t kLongestSkipped = 64 << 10;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  });
  return out;
}

// "HTTP/1.1 206 Partial Content"; 0 when there is no number.
int status_of(std::string_view line) {
  int status = 0;
  const size_t space = line.find(' ');
  if (space != std::string_view::npos)
    std::from_chars(line.data() + space + 1, line.data() + line.size(), status);
  return status;
}

}  // namespace

HttpExchange::HttpExchange(std::string url, ResponseHandler& handler, UpstreamStats& stats)
    : handler_(handler), stats_(stats) {
  head_.url = std::move(url);
}

bool HttpExchange::is_redirect() const {
  constexpr std::array kStatuses = {301, 302, 303, 307, 308};
  return std::find(kStatuses.begin(), kStatuses.end(), head_.status) != kStatuses.end() &&
         head_.header("location");
}

bool HttpExchange::header_line(std::string_view line) {
  if (in_body_) return true;  // a trailer
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (line.starts_with("HTTP/")) {  // again after each 1xx
    head_.headers.clear();
    head_.status = status_of(line);
    return true;
  }
  if (line.empty()) return head_.status < 200 || head_is_complete();
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  const size_t begin = line.find_first_not_of(" \t", colon + 1);
  const size_t end = line.find_last_not_of(" \t");
  head_.headers.emplace_back(
      lower(line.substr(0, colon)),
      begin == std::string_view::npos ? "" : line.substr(begin, end + 1 - begin));
  return true;
}

bool HttpExchange::head_is_complete() {
  in_body_ = true;
  stats_.answered(head_.status, std::chrono::steady_clock::now() - begun_);
  if (is_redirect()) return true;
  if (auto encoding = head_.header("content-encoding");
      encoding && !encoding->empty() && lower(*encoding) != "identity" && head_.status < 300) {
    failure_ = final_failure(ErrorKind::kProtocol,
                             fmt::format("{}: Content-Encoding '{}', though none was accepted",
                                         redacted_url(head_.url), *encoding));
    return false;
  }
  wanted_ = handler_.on_head(head_);
  // Registries announce the whole blob with it, and send a few words: its end is not waited for.
  ended_by_us_ = !wanted_ && head_.status == 416;
  return !ended_by_us_;
}

bool HttpExchange::body(std::span<const std::byte> bytes) {
  stats_.bytes += bytes.size();
  if (wanted_) {
    ended_by_us_ = !handler_.on_body(bytes);
    return !ended_by_us_;
  }
  skipped_ += bytes.size();
  ended_by_us_ = skipped_ > kLongestSkipped || head_.content_length().value_or(0) > kLongestSkipped;
  return !ended_by_us_;
}

}  // namespace imgcachefs
