// What is held to be let in for one scope, how the registry asked for it, and what became of it.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "fetch/registry_auth.h"
#include "fetch/registry_login_refusal.h"
#include "fetch/registry_login_source.h"
#include "fetch/registry_login_way.h"
#include "fetch/shared_question.h"

namespace imgcachefs {

// Something to show the registry.
struct Admission {
  std::string header;  // the value of Authorization; a secret
  bool basic = false;
  std::string scope;  // it was made for; "" where it is good for whatever the login is
  RegistryLoginSource::Held login;
  // By steady_clock. What does not expire has no use for `renew` and `end`.
  std::chrono::steady_clock::time_point since, renew, end;

  bool holds() const { return std::chrono::steady_clock::now() < end; }
  bool is_token() const { return !basic && login->secrets.bearer.empty(); }
  // So new that another one would be no better.
  bool fresh() const;
};

// Thread-safe.
class LoginScope {
 public:
  using Question = SharedQuestion<Admission>;

  explicit LoginScope(const RegistryScope& scope) : question("a token for " + scope) {}

  Question question;
  HeldRefusal refusal;  // for this scope, whatever the login
  std::atomic<std::chrono::steady_clock::time_point> not_before{
      std::chrono::steady_clock::time_point{}};  // of an early renewal

  // As this scope was asked for; nullopt: not yet.
  std::optional<RegistryWay> way() const;
  void set_way(const RegistryWay& way);
  // One more was refused; how many in a row.
  unsigned count_refused(bool fresh);
  void forget_count();

 private:
  mutable std::mutex mutex_;  // protects what follows
  std::optional<RegistryWay> way_;
  unsigned refused_ = 0;
};

// A bounded number of them; the one that was not used for longest leaves. Thread-safe.
class LoginScopes {
 public:
  std::shared_ptr<LoginScope> of(const RegistryScope& scope);

 private:
  struct Slot {
    std::shared_ptr<LoginScope> scope;
    uint64_t used = 0;
  };
  std::mutex mutex_;  // protects what follows
  std::map<RegistryScope, Slot> slots_;
  uint64_t uses_ = 0;
};

}  // namespace imgcachefs
