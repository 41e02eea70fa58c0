#include "fetch/registry_auth.h"

#include <fmt/format.h>

#include "base/log.h"

namespace imgcachefs {
namespace {

class NoRegistryAuth final : public RegistryAuth {
 public:
  Result<std::string> authorization(const RegistryScope&, Patience, std::stop_token) override {
    return std::string();
  }
  Status refused(const RegistryScope&, const std::string&, const HttpHead& answer) override {
    return fail(ErrorKind::kDenied,
                fmt::format("{}: HTTP status {}", redacted_url(answer.url), answer.status));
  }
};

}  // namespace

std::unique_ptr<RegistryAuth> no_registry_auth() {
  return std::make_unique<NoRegistryAuth>();
}

}  // namespace imgcachefs
