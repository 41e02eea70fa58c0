#include "fetch/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <string_view>

#include "base/log.h"
#include "fetch/http_exchange.h"
#include "fetch/url.h"

namespace imgcachefs {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr int kMostRedirects = 10;
constexpr long kReceiveBuffer = 512 << 10;

using HeaderList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

// libcurl's callbacks; it is C and knows no exceptions.
size_t on_header(char* data, size_t, size_t size, void* exchange) noexcept {
  return static_cast<HttpExchange*>(exchange)->header_line({data, size}) ? size : 0;
}

size_t on_body(char* data, size_t, size_t size, void* exchange) noexcept {
  const std::span bytes(reinterpret_cast<const std::byte*>(data), size);
  return static_cast<HttpExchange*>(exchange)->body(bytes) ? size : 0;
}

// What libcurl said, as a failure of ours.
Failure curl_failure(CURLcode code, const std::string& url, const char* detail,
                     bool new_connection) {
  const std::string message =
      fmt::format("{}: {}", redacted_url(url), *detail != '\0' ? detail : curl_easy_strerror(code));
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return transient_failure(ErrorKind::kTimeout, message);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ENGINE_NOTFOUND:
      return final_failure(ErrorKind::kUnavailable, message);
    case CURLE_URL_MALFORMAT:
      return final_failure(ErrorKind::kInvalid, message);
    case CURLE_UNSUPPORTED_PROTOCOL:  // "HTTP/0.9": something else where a status line should be
      // On a kept connection it can be what the answer before this one had too much.
      return {.error = {ErrorKind::kProtocol, message}, .transient = !new_connection};
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_FILESIZE_EXCEEDED:
      return final_failure(ErrorKind::kProtocol, message);
    default:
      return transient_failure(ErrorKind::kUnavailable, message);
  }
}

}  // namespace

// A libcurl session: an easy handle and a multi handle of its own, which keeps the connections.
class HttpClient::Session {
 public:
  Session() : multi_(curl_multi_init()), easy_(curl_easy_init()) {
    if (multi_ == nullptr || easy_ == nullptr) throw std::bad_alloc();
  }
  ~Session() {
    curl_easy_cleanup(easy_);
    curl_multi_cleanup(multi_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  template <typename Value>
  void set(CURLoption option, Value value) {
    curl_easy_setopt(easy_, option, value);
  }
  void set(CURLoption option, const std::string& value) {
    if (!value.empty()) curl_easy_setopt(easy_, option, value.c_str());
  }

  void prepare(const HttpConfig& config) {
    curl_easy_reset(easy_);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_BUFFERSIZE, kReceiveBuffer);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(CURLOPT_USERAGENT, "imgcachefs/" IMGCACHEFS_VERSION);
    set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(config.connect_timeout.count()));
    set(CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(config.low_speed_limit));
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(config.low_speed_time.count()));
    set(CURLOPT_CAINFO, config.ca_file);
    set(CURLOPT_PROXY, config.proxy);
    set(CURLOPT_SSL_VERIFYPEER, config.insecure ? 0L : 1L);
    set(CURLOPT_SSL_VERIFYHOST, config.insecure ? 0L : 2L);
#if LIBCURL_VERSION_NUM >= 0x075700
    set(CURLOPT_QUICK_EXIT, 1L);  // else a cancelled transfer waits for its name look-up
#endif
  }

  void prepare_secrets(const HttpConfig& config) {
    set(CURLOPT_SSLCERT, config.cert);
    set(CURLOPT_SSLKEY, config.key);
    if (!config.login.bearer.empty()) {
      set(CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
      set(CURLOPT_XOAUTH2_BEARER, config.login.bearer);
    } else if (!config.login.username.empty()) {
      set(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
      set(CURLOPT_USERNAME, config.login.username);
      set(CURLOPT_PASSWORD, config.login.password);
    }
  }

  // nullopt: cancelled.
  std::optional<CURLcode> run(std::stop_token stop) {
    curl_multi_add_handle(multi_, easy_);
    std::optional<CURLcode> code;
    {
      // Wakes the poll from whichever thread asks us to stop; gone before the handle leaves.
      std::stop_callback wake(stop, [this] { curl_multi_wakeup(multi_); });
      while (!code && !stop.stop_requested()) {
        int running = 0;
        if (CURLMcode error = curl_multi_perform(multi_, &running); error != CURLM_OK) {
          code = CURLE_FAILED_INIT;
          break;
        }
        int queued = 0;
        while (CURLMsg* message = curl_multi_info_read(multi_, &queued))
          if (message->msg == CURLMSG_DONE) code = message->data.result;
        if (!code) curl_multi_poll(multi_, nullptr, 0, 1000, nullptr);
      }
    }
    curl_multi_remove_handle(multi_, easy_);
    return code;
  }

  bool connected_anew() const {
    long connections = 0;
    curl_easy_getinfo(easy_, CURLINFO_NUM_CONNECTS, &connections);
    return connections > 0;
  }

  std::string redirect_url() const {
    char* url = nullptr;
    curl_easy_getinfo(easy_, CURLINFO_REDIRECT_URL, &url);
    return url == nullptr ? "" : url;
  }

 private:
  CURLM* multi_;
  CURL* easy_;
};

// Sessions nobody uses now, the one used last on top.
class HttpClient::Pool {
 public:
  // A session checked out: back in the pool in the destructor.
  class Lease {
   public:
    explicit Lease(Pool& pool) : pool_(pool), session_(pool.take()) {}
    ~Lease() { pool_.give_back(std::move(session_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Session* operator->() const { return session_.get(); }

   private:
    Pool& pool_;
    std::unique_ptr<Session> session_;
  };

 private:
  static constexpr size_t kMostIdle = 32;

  std::unique_ptr<Session> take() {
    {
      std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto session = std::move(idle_.back());
        idle_.pop_back();
        return session;
      }
    }
    return std::make_unique<Session>();
  }
  void give_back(std::unique_ptr<Session> session) {
    std::lock_guard lock(mutex_);
    if (idle_.size() < kMostIdle) idle_.push_back(std::move(session));
  }

  std::mutex mutex_;  // protects idle_
  std::vector<std::unique_ptr<Session>> idle_;
};

HttpClient::HttpClient(HttpConfig config, UpstreamStats& stats)
    : config_(std::move(config)), stats_(stats), pool_(std::make_unique<Pool>()) {
  static std::once_flag once;
  std::call_once(once, [] {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    // Under CURLOPT_NOSIGNAL libcurl leaves SIGPIPE to us, and OpenSSL writes with write(2).
    struct sigaction now {};
    if (::sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL)
      ::signal(SIGPIPE, SIG_IGN);
  });
}

HttpClient::~HttpClient() = default;

tl::expected<HttpHead, Failure> HttpClient::perform(const HttpRequest& request,
                                                    ResponseHandler& handler,
                                                    std::stop_token stop) {
  const auto deadline = SteadyClock::now() + request.total_timeout.value_or(milliseconds(0));
  auto first = Url::parse(request.url);
  if (!first) return tl::unexpected(Failure{.error = first.error()});

  Pool::Lease session(*pool_);
  Url url = *first;
  for (int redirects = 0;; ++redirects) {
    HttpExchange exchange(url.str(), handler, stats_);
    std::array<char, CURL_ERROR_SIZE> detail{};
    HeaderList headers(curl_slist_append(nullptr, "Accept-Encoding: identity"),
                       &curl_slist_free_all);
    auto add = [&](const auto& more) {
      for (const auto& [name, value] : more)
        curl_slist_append(headers.get(), (name + ": " + value).c_str());
    };
    add(request.headers);

    session->prepare(config_);
    if (url.same_origin(*first)) {
      session->prepare_secrets(config_);
      add(request.secret_headers);
    }
    session->set(CURLOPT_URL, exchange.head().url);
    if (request.post) {
      curl_slist_append(headers.get(), ("Content-Type: " + request.post_type).c_str());
      curl_slist_append(headers.get(), "Expect:");  // no round trip to ask whether it may come
      session->set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.post->size()));
      session->set(CURLOPT_POSTFIELDS, request.post->data());
    } else {
      session->set(CURLOPT_NOBODY, request.head ? 1L : 0L);
    }
    session->set(CURLOPT_HTTPHEADER, headers.get());
    session->set(CURLOPT_ERRORBUFFER, detail.data());
    session->set(CURLOPT_HEADERFUNCTION, &on_header);
    session->set(CURLOPT_HEADERDATA, &exchange);
    session->set(CURLOPT_WRITEFUNCTION, &on_body);
    session->set(CURLOPT_WRITEDATA, &exchange);
    if (request.total_timeout) {
      const auto left =
          std::chrono::duration_cast<milliseconds>(deadline - SteadyClock::now()).count();
      session->set(CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<int64_t>(left, 1)));
    }

    ++stats_.requests;
    const auto code = session->run(stop);
    if (!exchange.has_answer()) stats_.unanswered();
    const std::string shown = redacted_url(exchange.head().url);
    if (!code) return tl::unexpected(final_failure(ErrorKind::kCancelled, shown + ": cancelled"));
    if (exchange.failure()) return tl::unexpected(*exchange.failure());
    if (*code != CURLE_OK && !exchange.ended_by_us())
      return tl::unexpected(
          curl_failure(*code, exchange.head().url, detail.data(), session->connected_anew()));
    if (!exchange.is_redirect()) return exchange.head();

    auto refuse = [&](std::string_view why) {
      return tl::unexpected(
          final_failure(ErrorKind::kProtocol, fmt::format("{}: redirect refused: {}", shown, why)));
    };
    if (request.post) return refuse("a POST is not sent on");
    if (redirects == kMostRedirects) return refuse("too many in a row");
    auto next = Url::parse(session->redirect_url());
    if (!next) return refuse(next.error().message);
    if (url.scheme == "https" && next->scheme != "https") return refuse("from https to http");
    if (!next->user_info.empty()) return refuse("it carries user information");
    url = std::move(*next);
  }
}

}  // namespace imgcachefs
