#include "fetch/registry_login_scope.h"

#include <algorithm>

namespace imgcachefs {
namespace {

constexpr size_t kMostScopes = 1000;

}  // namespace

bool Admission::fresh() const {
  return std::chrono::steady_clock::now() - since <
         std::min<std::chrono::steady_clock::duration>(kRegistryRefusalHolds, (end - since) / 4);
}

std::optional<RegistryWay> LoginScope::way() const {
  std::lock_guard lock(mutex_);
  return way_;
}

void LoginScope::set_way(const RegistryWay& way) {
  std::lock_guard lock(mutex_);
  way_ = way;
}

unsigned LoginScope::count_refused(bool fresh) {
  std::lock_guard lock(mutex_);
  refused_ = fresh ? refused_ + 1 : 1;
  return refused_;
}

void LoginScope::forget_count() {
  std::lock_guard lock(mutex_);
  refused_ = 0;
}

std::shared_ptr<LoginScope> LoginScopes::of(const RegistryScope& scope) {
  std::lock_guard lock(mutex_);
  auto it = slots_.find(scope);
  if (it == slots_.end()) {
    if (slots_.size() >= kMostScopes)
      slots_.erase(std::min_element(slots_.begin(), slots_.end(), [](const auto& a, const auto& b) {
        return a.second.used < b.second.used;
      }));
    it = slots_.emplace(scope, Slot{std::make_shared<LoginScope>(scope)}).first;
  }
  it->second.used = ++uses_;
  return it->second.scope;
}

}  // namespace imgcachefs
