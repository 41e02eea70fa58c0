// A question with a short answer: a head, or a text that fits in memory. Retried as it should be.
#pragma once

#include <chrono>
#include <initializer_list>
#include <stop_token>
#include <string>
#include <vector>

#include "fetch/http_client.h"

namespace imgcachefs {

struct HttpAnswer {
  HttpHead head;
  std::string body;  // of a 200 or 201; empty when none was asked for
};

struct HttpQuestion {
  HttpRequest request;
  std::vector<int> good;  // the statuses that are answers; any other is an error
  size_t body_limit = 0;  // longer than that is kProtocol; 0: the body is not wanted
  unsigned retries = 0;

  // With kOneTry: no retries, and an answer within kOneTryTime of `begin`.
  void limit(Patience patience,
             std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now());
};

Result<HttpAnswer> ask(HttpClient& client, UpstreamStats& stats, const HttpQuestion& question,
                       std::stop_token stop);

}  // namespace imgcachefs
