// A token of a registry's token server: its answer to GET (docker's token authentication
// specification) and to POST (the same with OAuth2, RFC 6749).
//
//   {"token": "...", "access_token": "...", "expires_in": 300, "issued_at": "2026-11-20T05:53:05Z"}
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "fetch/http_answer.h"

namespace imgcachefs {

struct RegistryToken {
  std::string token;  // a secret
  // What is left of it as the answer was sent. A server may hand out one that it made earlier; that
  // is seen by its own clock (issued_at and Date), so that it need not agree with ours. One minute
  // where it is not said, at most a year.
  std::chrono::milliseconds life;

  // kProtocol when the answer is none of a token server's.
  static Result<RegistryToken> of(const HttpAnswer& answer);
};

}  // namespace imgcachefs
