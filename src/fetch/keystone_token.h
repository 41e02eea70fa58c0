// A token of Keystone's: the answer to POST /v3/auth/tokens (Identity API v3).
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "fetch/http_answer.h"
#include "fetch/service_catalogue.h"

namespace imgcachefs {

struct KeystoneToken {
  std::string token;  // a secret
  // From issued_at to expires_at: both by Keystone's clock, so that it need not agree with ours.
  std::chrono::milliseconds life;
  ServiceCatalogue catalogue;

  // kProtocol when the answer is none as Keystone gives it; kDenied for a token without a project:
  // Glance would take it, and show no image.
  static Result<KeystoneToken> of(const HttpAnswer& answer);
};

}  // namespace imgcachefs
