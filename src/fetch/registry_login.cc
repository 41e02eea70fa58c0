#include "fetch/registry_login.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <utility>

#include "base/base64.h"
#include "base/log.h"
#include "fetch/registry_login_scope.h"
#include "fetch/registry_login_source.h"
#include "fetch/registry_login_way.h"
#include "fetch/registry_token_server.h"

namespace imgcachefs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Scheme = RegistryWay::Scheme;
using StdClock = std::chrono::steady_clock;

constexpr milliseconds kMostEarlyRenewal{60'000};
constexpr std::chrono::hours kNoEnd{24 * 366 * 10};

// "repository:team/vm:pull" -> "team/vm"; "" for the others.
std::string repository_of(const RegistryScope& scope) {
  constexpr std::string_view kType = "repository:";
  const size_t colon = scope.rfind(':');
  if (!scope.starts_with(kType) || colon < kType.size()) return "";
  return scope.substr(kType.size(), colon - kType.size());
}

Admission without_end(std::string header, bool basic, RegistryLoginSource::Held login) {
  const auto now = StdClock::now();
  return {.header = std::move(header),
          .basic = basic,
          .scope = "",
          .login = std::move(login),
          .since = now,
          .renew = now + kNoEnd,
          .end = now + kNoEnd};
}

class RegistryLogin final : public RegistryAuth {
 public:
  RegistryLogin(const Url& registry, std::unique_ptr<RegistryLoginSource> source, HttpConfig http)
      : registry_(registry),
        name_(registry.str()),
        source_(std::move(source)),
        server_(registry, std::move(http)) {}

  Result<std::string> authorization(const RegistryScope& scope, Patience patience,
                                    std::stop_token stop) override;
  Status refused(const RegistryScope& scope, const std::string& sent,
                 const HttpHead& answer) override;

 private:
  using Known = LoginScope::Question::Known;

  // Who asks, and how.
  struct Asker {
    const RegistryScope& scope;
    LoginScope& held;
    RegistryWay way;
    Patience patience;
    std::stop_token stop;
    StdClock::time_point begin;
  };

  std::optional<RegistryWay> way_of(const LoginScope& held) const;
  static bool will_do(const LoginScope& held, const Admission& admission, bool being_renewed);
  Result<Admission> renew(const Asker& asker, const Known& old);
  Result<Admission> admit(const Asker& asker);
  tl::expected<Admission, TokenFailure> token(const Asker& asker,
                                              const RegistryLoginSource::Held& login);
  Status no_better(const Admission& refused, const RegistryWay& way, const RegistryScope& scope,
                   LoginScope& held);

  const Url registry_;
  const std::string name_;  // its URL
  const std::unique_ptr<RegistryLoginSource> source_;
  RegistryTokenServer server_;
  LoginScopes scopes_;

  mutable std::mutex mutex_;        // protects what follows; held for moments, with no other lock
  std::optional<RegistryWay> way_;  // of the latest 401, for scopes that had none of their own
};

std::optional<RegistryWay> RegistryLogin::way_of(const LoginScope& held) const {
  if (auto own = held.way()) return own;
  std::lock_guard lock(mutex_);
  return way_;
}

Result<std::string> RegistryLogin::authorization(const RegistryScope& scope, Patience patience,
                                                 std::stop_token stop) {
  const auto held = scopes_.of(scope);
  for (;;) {
    const auto way = way_of(*held);
    if (!way) return std::string();
    const Known old = held->question.known();
    if (old && old->basic)  // tokens go on without the login they were given for
      for (auto& refusal : {held->refusal.now(), old->login->record.refusal()})
        if (refusal) return fail(*refusal);
    // While there is one that holds, nobody shall wait for long.
    const bool early = old && old->holds();
    const Patience this_patience = early ? Patience::kOneTry : patience;
    const Asker asker{scope, *held, *way, this_patience, stop, StdClock::now()};
    auto admission = held->question.answer(
        {.patience = this_patience, .stop = stop},
        [&](const Admission& known, bool being_asked) {
          return will_do(*held, known, being_asked);
        },
        [&](const Known& known) { return renew(asker, known); });
    if (admission) return (*admission)->header;
    if (!early || admission.error().kind == ErrorKind::kCancelled) return fail(admission.error());
    if (held->question.known() == old && old->holds()) return old->header;
    // It was refused or ran out meanwhile: now another one is needed, with all patience.
  }
}

bool RegistryLogin::will_do(const LoginScope& held, const Admission& admission,
                            bool being_renewed) {
  const auto now = StdClock::now();
  return now < admission.renew ||
         (now < admission.end && (being_renewed || now < held.not_before.load()));
}

Result<Admission> RegistryLogin::renew(const Asker& asker, const Known& old) {
  if (auto refusal = asker.held.refusal.now()) return fail(std::move(*refusal));
  auto admission = admit(asker);
  if (admission) {
    if (old) asker.held.forget_count();
    return admission;
  }
  const auto left =
      old ? std::chrono::duration_cast<milliseconds>(old->end - StdClock::now()) : milliseconds(0);
  if (left > milliseconds(0) && admission.error().kind != ErrorKind::kCancelled) {
    const milliseconds pause = std::clamp<milliseconds>(left / 4, milliseconds(200), seconds(10));
    asker.held.not_before = StdClock::now() + pause;
    spdlog::warn("{}; the token held is good for another {} s", admission.error().message,
                 left.count() / 1000);
  }
  return admission;
}

Result<Admission> RegistryLogin::admit(const Asker& asker) {
  auto denied = [&](std::string why) {
    Error error{ErrorKind::kDenied, std::move(why)};
    asker.held.refusal.remember(error);
    return fail(std::move(error));
  };
  for (;;) {  // ends: source_ has something newer once in kRegistryRefusalHolds
    auto login = source_->login(repository_of(asker.scope), asker.patience, asker.stop);
    if (!login) return fail(login.error());
    if (auto refusal = (*login)->record.refusal()) return fail(std::move(*refusal));
    const RegistrySecrets& secrets = (*login)->secrets;
    if (asker.way.scheme == Scheme::kBasic) {
      if (secrets.has_password())
        return without_end("Basic " + base64_encode(secrets.username + ":" + secrets.password),
                           true, *login);
      if (source_->refused(**login)) continue;
      return denied(fmt::format(
          "{} wants a user and a password, and {}", name_,
          secrets.empty() ? "we have none for it" : secrets.whence + " has a token instead"));
    }
    if (!secrets.bearer.empty()) return without_end("Bearer " + secrets.bearer, false, *login);
    auto admission = token(asker, *login);
    if (admission) return std::move(*admission);
    const auto& [error, of_secrets] = admission.error();
    if (error.kind != ErrorKind::kDenied) return fail(error);
    if (of_secrets && source_->refused(**login)) continue;
    if (of_secrets && !secrets.empty()) (*login)->record.refused(error, true);
    return denied(error.message);
  }
}

tl::expected<Admission, TokenFailure> RegistryLogin::token(const Asker& asker,
                                                           const RegistryLoginSource::Held& login) {
  const std::string scope = asker.way.scope.empty() ? asker.scope : asker.way.scope;
  const auto began = StdClock::now();  // the token was made later
  auto token =
      server_.ask({asker.way, scope, login->secrets, asker.patience, asker.begin}, asker.stop);
  if (!token) return tl::unexpected(token.error());
  login->record.good();
  const milliseconds life = token->life;
  spdlog::debug("{}: a token for '{}', good for {} s", redacted_url(asker.way.realm), scope,
                life.count() / 1000);
  return Admission{.header = "Bearer " + token->token,
                   .basic = false,
                   .scope = scope,
                   .login = login,
                   .since = began,
                   .renew = began + life - std::min(kMostEarlyRenewal, life / 4),
                   .end = began + life};
}

Status RegistryLogin::refused(const RegistryScope& scope, const std::string& sent,
                              const HttpHead& answer) {
  // Who a redirect led to shall not say where our login is to go.
  if (auto url = Url::parse(answer.url); !url || !url->same_origin(registry_))
    return fail(ErrorKind::kDenied,
                fmt::format("{}: HTTP status {}, and it is not the registry, {}",
                            redacted_url(answer.url), answer.status, name_));
  const auto held = scopes_.of(scope);
  auto way = RegistryWay::of(answer);
  if (!way) {
    // What was sent is wrong, whoever said so without saying more.
    const auto before = way_of(*held);
    if (sent.empty() || !before) return fail(way.error());
    way = *before;
    way->error.clear();
  }
  held->set_way(*way);
  {
    std::lock_guard lock(mutex_);
    way_ = *way;
    way_->scope.clear();
  }
  if (sent.empty()) return {};

  const Known known = held->question.known();
  if (!known || known->header != sent) return {};  // somebody was quicker
  if (known->basic == (way->scheme == Scheme::kBasic)) {
    if (auto better = no_better(*known, *way, scope, *held); !better) return better;
  }
  if (!held->question.forget_if([&](const Admission& now) { return now.header == sent; }))
    return {};
  if (known->is_token()) spdlog::debug("{}: the token for '{}' was refused", name_, scope);
  // One can be revoked the moment it is made; of two in a row it is not the token that is wrong.
  if (held->count_refused(known->fresh()) < 2) return {};
  const Error error{ErrorKind::kDenied,
                    fmt::format("{} refuses all that we have for '{}'", name_, scope)};
  held->refusal.remember(error);
  return fail(error);
}

// Whether there is no use in getting another one of the same kind.
Status RegistryLogin::no_better(const Admission& refused, const RegistryWay& way,
                                const RegistryScope& scope, LoginScope& held) {
  const HeldLogin& login = *refused.login;
  if (!refused.is_token()) {
    if (source_->refused(login)) return {};
    Error error{ErrorKind::kDenied,
                fmt::format("{} does not let us in with the {} of {}", name_,
                            refused.basic ? "login" : "token", login.secrets.whence)};
    // Told by many at the same time, it is one refusal. Of success we are not told.
    if (refused.basic && held.refusal.remember(error)) login.record.refused(error, false);
    return fail(std::move(error));
  }
  if (way.error == "insufficient_scope" && refused.fresh() &&
      refused.scope == (way.scope.empty() ? scope : way.scope))
    return fail(ErrorKind::kDenied,
                fmt::format("{}: the token for '{}'{} does not allow it", name_, refused.scope,
                            login.secrets.empty() ? ", which was given without a login," : ""));
  return {};
}

}  // namespace

Result<std::unique_ptr<RegistryAuth>> registry_login(RegistryLoginConfig config) {
  auto registry = Url::parse(config.registry);
  if (!registry) return fail(registry.error().in("registry"));
  if (!registry->user_info.empty() || registry->path != "/" || !registry->query.empty())
    return fail(ErrorKind::kInvalid, fmt::format("registry '{}': more than scheme://host:port",
                                                 redacted_url(config.registry)));
  registry->path.clear();
  auto source = RegistryLoginSource::of(*registry, config.secrets, std::move(config.docker));
  if (!source) return fail(source.error());
  config.http.login = {};
  if (auto good = config.http.check_files(); !good) return fail(good.error());
  return std::make_unique<RegistryLogin>(*registry, std::move(*source), std::move(config.http));
}

}  // namespace imgcachefs
