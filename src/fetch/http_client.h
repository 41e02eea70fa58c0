// One HTTP exchange at a time, done right: the only part of the program that knows libcurl.
//
// HTTP/1.1 over kept connections. A caller has a connection (a libcurl session) to itself for the
// length of an exchange; the one used last is used next, so that few are kept warm. No signals, no
// total timeout unless asked for; a transfer that is too slow for too long fails (HttpConfig). A
// response must come as it is: any Content-Encoding but identity is kProtocol.
//
// Redirects are followed here and not by libcurl, because of the secrets: Authorization, the secret
// headers and the client certificate go to the origin (scheme, host, port) of the first URL only.
// At most 10, http and https only, never from https back to http. A POST is not sent on at all: its
// body is a secret, too.
//
// libcurl starts threads for name look-ups: make a client after the program went to the background.
// The first client made also has the process ignore SIGPIPE, unless somebody handles it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "fetch/http_config.h"
#include "fetch/http_exchange.h"
#include "fetch/http_head.h"
#include "fetch/retry.h"

namespace imgcachefs {

struct HttpRequest {
  std::string url;
  bool head = false;                           // HEAD instead of GET
  std::optional<std::string> post = {};        // POST with this body ...
  std::string post_type = "application/json";  // ... of this Content-Type
  std::vector<std::pair<std::string, std::string>> headers = {};
  // For the origin of `url` only: left out where a redirect leads to another one.
  std::vector<std::pair<std::string, std::string>> secret_headers = {};
  std::optional<std::chrono::milliseconds> total_timeout =
      {};  // of the exchange with its redirects
};

// Thread-safe.
class HttpClient {
 public:
  // `stats` is counted up and must outlive the client.
  HttpClient(HttpConfig config, UpstreamStats& stats);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // One attempt. The head of the response, whatever its status, once its body is over or the
  // handler did not want (more of) it; else what went wrong, kCancelled when `stop` was requested.
  tl::expected<HttpHead, Failure> perform(const HttpRequest& request, ResponseHandler& handler,
                                          std::stop_token stop);

 private:
  class Session;
  class Pool;

  HttpConfig config_;
  UpstreamStats& stats_;
  std::unique_ptr<Pool> pool_;
};

}  // namespace imgcachefs
