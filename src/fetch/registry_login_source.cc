#include "fetch/registry_login_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "fetch/credential_helper.h"

namespace imgcachefs {
namespace {

using LoginClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kHelperLimit{10'000};

Result<RegistrySecrets> secrets_of_file(const Credentials& file) {
  auto invalid = [](std::string_view why) {
    return fail(ErrorKind::kInvalid, fmt::format("credentials for a registry: {}", why));
  };
  RegistrySecrets secrets;
  secrets.username = file.get("username");
  secrets.password = file.get("password");
  secrets.bearer = file.get("token");
  secrets.whence = "the credentials file";
  if (!secrets.bearer.empty()) {
    if (!secrets.username.empty()) return invalid("both a token and a username");
    if (!is_bearer_token(secrets.bearer)) return invalid("the token cannot be one");
  } else if (secrets.username.empty() != secrets.password.empty()) {
    return invalid(secrets.username.empty() ? "username is missing" : "password is missing");
  }
  // RFC 7617 section 2: the other side takes what comes behind for the password.
  if (secrets.username.find(':') != std::string::npos) return invalid("a ':' in the username");
  return secrets;
}

// The errors of a RegistryAuth, of what a helper can say.
Error helper_error(Error error) {
  if (error.kind != ErrorKind::kTimeout && error.kind != ErrorKind::kProtocol &&
      error.kind != ErrorKind::kCancelled)
    error.kind = ErrorKind::kUnavailable;
  return error;
}

std::shared_ptr<HeldLogin> held_login(RegistrySecrets secrets) {
  auto held = std::make_shared<HeldLogin>();
  held->secrets = std::move(secrets);
  held->since = LoginClock::now();
  return held;
}

}  // namespace

Result<std::unique_ptr<RegistryLoginSource>> RegistryLoginSource::of(
    const Url& registry, const Credentials& secrets, std::optional<DockerConfig> docker) {
  auto file = secrets_of_file(secrets);
  if (!file) return fail(file.error());
  std::unique_ptr<RegistryLoginSource> source(new RegistryLoginSource(registry, std::move(docker)));
  if (!file->empty()) {
    source->fixed_ = held_login(std::move(*file));
    return source;
  }
  if (!source->docker_) return source;
  auto use = [&](std::optional<HelperQuestion> question,
                 std::unique_ptr<Helper>& helper) -> Status {
    if (!question) return {};
    if (!is_helper_name(question->name))
      return fail(ErrorKind::kInvalid, fmt::format("{}: '{}' is no name of a credential helper",
                                                   source->docker_->path(), question->name));
    helper = std::make_unique<Helper>(std::move(*question));
    return {};
  };
  if (auto used = use(source->docker_->helper(registry), source->own_); !used)
    return fail(used.error());
  if (auto used = use(source->docker_->store(registry), source->store_); !used)
    return fail(used.error());
  return source;
}

Result<RegistryLoginSource::Held> RegistryLoginSource::login(const std::string& repository,
                                                             Patience patience,
                                                             std::stop_token stop) {
  if (fixed_) return fixed_;
  Held nobody;
  if (own_) {
    auto held = ask(*own_, patience, stop);
    if (!held || !(*held)->secrets.empty()) return held;
    nobody = *held;
  }
  if (docker_) {
    auto login = docker_->login(registry_, repository);
    if (!login) return fail(ErrorKind::kDenied, login.error().message);
    if (*login) return kept(std::move(**login));
  }
  if (store_) return ask(*store_, patience, stop);
  return nobody ? nobody : kept({});
}

// The same object for the same login, for the sake of what became of it.
RegistryLoginSource::Held RegistryLoginSource::kept(RegistrySecrets secrets) {
  std::lock_guard lock(mutex_);
  for (const Held& held : kept_)
    if (held->secrets == secrets) return held;
  return kept_.emplace_back(held_login(std::move(secrets)));
}

Result<RegistryLoginSource::Held> RegistryLoginSource::ask(Helper& helper, Patience patience,
                                                           std::stop_token stop) {
  auto answer = helper.answer.answer(
      {.patience = patience, .stop = stop}, [](const Held&, bool) { return true; },
      [&](const SharedQuestion<Held>::Known&) -> Result<Held> {
        if (auto failure = helper.failure.now()) return fail(std::move(*failure));
        const bool hasty = patience == Patience::kOneTry;
        auto secrets = ask_helper(helper.question, hasty ? kOneTryTime : kHelperLimit, stop);
        if (!secrets) {
          const ErrorKind kind = secrets.error().kind;
          if (kind != ErrorKind::kCancelled && !(hasty && kind == ErrorKind::kTimeout))
            helper.failure.remember(helper_error(secrets.error()));
          return fail(helper_error(secrets.error()));
        }
        auto held = held_login(secrets->value_or(RegistrySecrets{}));
        held->helper = &helper;
        return held;
      });
  if (!answer) return fail(answer.error());
  return **answer;
}

bool RegistryLoginSource::refused(const HeldLogin& held) {
  for (Helper* helper : {own_.get(), store_.get()}) {
    if (helper == nullptr || held.helper != helper) continue;
    const auto known = helper->answer.known();
    if (!known || known->get() != &held) return true;  // somebody else was told so before
    if (LoginClock::now() - held.since < kRegistryRefusalHolds) return false;
    helper->answer.forget_if([&](const Held& answer) { return answer.get() == &held; });
    return true;
  }
  return false;
}

}  // namespace imgcachefs
