// One request under way: puts together what the network brings, line by line and piece by piece,
// and hands it to the one who asked.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "fetch/http_head.h"
#include "fetch/retry.h"
#include "fetch/upstream.h"

namespace imgcachefs {

// Takes the response, in the thread that performs the exchange; must not throw.
class ResponseHandler {
 public:
  virtual ~ResponseHandler() = default;
  // The head of the response that is none of a redirect. False: its body is not wanted.
  virtual bool on_head(const HttpHead& head) = 0;
  // A piece of the body. False: enough, end the transfer.
  virtual bool on_body(std::span<const std::byte> bytes) = 0;
};

class HttpExchange {
 public:
  HttpExchange(std::string url, ResponseHandler& handler, UpstreamStats& stats);

  // What the network brings. False: end the transfer now.
  bool header_line(std::string_view line);
  bool body(std::span<const std::byte> bytes);

  const HttpHead& head() const { return head_; }
  bool has_answer() const { return in_body_; }  // its head is complete
  bool is_redirect() const;
  bool ended_by_us() const { return ended_by_us_; }  // nobody wanted the rest
  const std::optional<Failure>& failure() const { return failure_; }

 private:
  bool head_is_complete();

  ResponseHandler& handler_;
  UpstreamStats& stats_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  HttpHead head_;
  bool in_body_ = false;
  bool wanted_ = false;
  bool ended_by_us_ = false;
  uint64_t skipped_ = 0;
  std::optional<Failure> failure_;
};

}  // namespace imgcachefs
