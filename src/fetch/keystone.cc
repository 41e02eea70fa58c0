#include "fetch/keystone.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>

#include "base/log.h"
#include "fetch/http_answer.h"
#include "fetch/keystone_login.h"
#include "fetch/keystone_token.h"
#include "fetch/login_error.h"
#include "fetch/shared_question.h"

namespace imgcachefs {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr size_t kLongestAnswer = 4 << 20;  // a catalogue of many regions is some 100 KiB
constexpr milliseconds kMostEarly{60'000};
constexpr milliseconds kLongestLife = std::chrono::hours(24 * 366);  // far from the clock's end
constexpr seconds kRefusalHolds{10};

struct HeldToken {
  ServiceAccess access;
  Clock::time_point since, renew, end;

  bool holds() const { return Clock::now() < end; }
};

class KeystoneAccess final : public Authenticator {
 public:
  KeystoneAccess(KeystoneConfig config, KeystoneLogin login)
      : login_(std::move(login)),
        endpoint_(std::move(config.endpoint)),
        region_(std::move(config.region)),
        interface_(std::move(config.interface_)),
        retries_(config.http.retries),
        client_(std::move(config.http), stats_),
        question_(login_.url) {}

  Result<ServiceAccess> access(Patience patience, std::stop_token stop) override;
  void refused(const std::string& token) override;

 private:
  using Question = SharedQuestion<HeldToken>;

  bool will_do(const HeldToken& token, bool being_renewed) const;
  Result<HeldToken> renew(const Question::Known& old, Patience patience, std::stop_token stop);
  Result<HeldToken> ask_keystone(Patience patience, std::stop_token stop);
  std::optional<Error> remembered_refusal() const;
  void remember(const Error& refusal);

  const KeystoneLogin login_;
  const std::string endpoint_, region_, interface_;
  const unsigned retries_;
  UpstreamStats stats_;
  HttpClient client_;
  Question question_;

  std::atomic<Clock::time_point> not_before_{Clock::time_point{}};  // of an early renewal

  mutable std::mutex mutex_;  // protects what follows; held for moments, with no other lock
  std::optional<Error> refusal_;
  Clock::time_point refusal_ends_;
  unsigned fresh_refused_ = 0;  // tokens in a row that Glance refused as soon as it saw them
};

Error keystone_error(const Error& error, const std::string& who) {
  Error shown = login_error(error, "no Keystone v3 at auth_url");
  if (shown.kind == ErrorKind::kDenied)
    shown.message += fmt::format(
        ": Keystone does not let {} in (wrong secret, or no such user, domain or project)", who);
  return shown;
}

Result<ServiceAccess> KeystoneAccess::access(Patience patience, std::stop_token stop) {
  for (;;) {
    const Question::Known old = question_.known();
    // While there is one that holds, nobody shall wait for long.
    const bool early = old && old->holds();
    const Patience this_patience = early ? Patience::kOneTry : patience;
    auto token = question_.answer(
        {.patience = this_patience, .stop = stop},
        [this](const HeldToken& held, bool being_asked) { return will_do(held, being_asked); },
        [&](const Question::Known& known) { return renew(known, this_patience, stop); });
    if (token) return (*token)->access;
    if (!early || token.error().kind == ErrorKind::kCancelled) return fail(token.error());
    if (question_.known() == old && old->holds()) return old->access;
    // It was refused or ran out meanwhile: now another one is needed, with all patience.
  }
}

bool KeystoneAccess::will_do(const HeldToken& token, bool being_renewed) const {
  const auto now = Clock::now();
  return now < token.renew || (now < token.end && (being_renewed || now < not_before_.load()));
}

Result<HeldToken> KeystoneAccess::renew(const Question::Known& old, Patience patience,
                                        std::stop_token stop) {
  if (auto refusal = remembered_refusal()) return fail(std::move(*refusal));
  auto token = ask_keystone(patience, stop);
  if (token) {
    if (old) {
      std::lock_guard lock(mutex_);
      fresh_refused_ = 0;
    }
    return token;
  }
  const auto left =
      old ? std::chrono::duration_cast<milliseconds>(old->end - Clock::now()) : milliseconds(0);
  if (left > milliseconds(0) && token.error().kind != ErrorKind::kCancelled) {
    const milliseconds pause = std::clamp<milliseconds>(left / 4, milliseconds(200), seconds(10));
    not_before_ = Clock::now() + pause;
    spdlog::warn("{}; the token held is good for another {} s", token.error().message,
                 left.count() / 1000);
  }
  return token;
}

Result<HeldToken> KeystoneAccess::ask_keystone(Patience patience, std::stop_token stop) {
  HttpQuestion question{
      .request = {.url = login_.url + (endpoint_.empty() ? "" : "?nocatalog"), .post = login_.body},
      .good = {200, 201},
      .body_limit = kLongestAnswer,
      .retries = retries_};
  question.limit(patience);
  const auto began = Clock::now();  // the token was issued later
  auto answer = ask(client_, stats_, question, stop);
  if (!answer) {
    Error error = keystone_error(answer.error(), login_.who);
    if (error.kind == ErrorKind::kDenied) remember(error);
    return fail(std::move(error));
  }
  auto token = KeystoneToken::of(*answer);
  if (!token) {
    if (token.error().kind == ErrorKind::kDenied) remember(token.error());
    return fail(token.error());
  }
  std::string endpoint = endpoint_;
  if (endpoint.empty()) {
    auto found = token->catalogue.image_service(region_, interface_);
    if (!found) {
      remember(found.error());
      return fail(found.error());
    }
    endpoint = std::move(*found);
  }
  const milliseconds life = std::min(token->life, kLongestLife);
  spdlog::debug("{}: a token for {}, good for {} s; Glance is {}", login_.url, login_.who,
                life.count() / 1000, redacted_url(endpoint));
  return HeldToken{{std::move(endpoint), std::move(token->token)},
                   began,
                   began + life - std::min(kMostEarly, life / 4),
                   began + life};
}

void KeystoneAccess::refused(const std::string& token) {
  bool fresh = false;
  const bool forgotten = question_.forget_if([&](const HeldToken& held) {
    if (held.access.token != token) return false;
    fresh = Clock::now() - held.since <
            std::min<Clock::duration>(kRefusalHolds, (held.end - held.since) / 4);
    return true;
  });
  if (!forgotten) return;
  spdlog::debug("{}: the token held was refused by Glance", login_.url);
  // One can be revoked the moment it is made; of two in a row it is not the token that is wrong.
  bool hopeless;
  {
    std::lock_guard lock(mutex_);
    fresh_refused_ = fresh ? fresh_refused_ + 1 : 0;
    hopeless = fresh_refused_ >= 2;
  }
  if (hopeless)
    remember({ErrorKind::kDenied,
              fmt::format("Glance refuses the tokens that {} gives {}", login_.url, login_.who)});
}

std::optional<Error> KeystoneAccess::remembered_refusal() const {
  std::lock_guard lock(mutex_);
  return refusal_ && Clock::now() < refusal_ends_ ? refusal_ : std::nullopt;
}

void KeystoneAccess::remember(const Error& refusal) {
  std::lock_guard lock(mutex_);
  refusal_ = refusal;
  refusal_ends_ = Clock::now() + kRefusalHolds;
}

}  // namespace

Result<std::unique_ptr<Authenticator>> keystone_access(KeystoneConfig config) {
  config.interface_ = normal_interface(config.interface_);
  if (config.interface_ != "public" && config.interface_ != "internal" &&
      config.interface_ != "admin")
    return fail(
        ErrorKind::kInvalid,
        fmt::format("interface '{}' is none of public, internal and admin", config.interface_));
  auto login = KeystoneLogin::of(config.secrets);
  if (!login) return fail(login.error());
  config.http.login = {};
  if (auto good = config.http.check_files(); !good) return fail(good.error());
  return std::make_unique<KeystoneAccess>(std::move(config), std::move(*login));
}

}  // namespace imgcachefs
