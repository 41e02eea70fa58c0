#include "fetch/authenticator.h"

namespace imgcachefs {
namespace {

class FixedAccess final : public Authenticator {
 public:
  explicit FixedAccess(ServiceAccess access) : access_(std::move(access)) {}

  Result<ServiceAccess> access(Patience, std::stop_token) override { return access_; }
  void refused(const std::string&) override {}

 private:
  const ServiceAccess access_;
};

}  // namespace

std::unique_ptr<Authenticator> fixed_access(std::string endpoint, std::string token) {
  return std::make_unique<FixedAccess>(ServiceAccess{std::move(endpoint), std::move(token)});
}

}  // namespace imgcachefs
