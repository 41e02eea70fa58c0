#include "fetch/docker_config.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64.h"
#include "base/posix.h"

namespace imgcachefs {
namespace {

using nlohmann::json;

constexpr size_t kLongestConfig = 1 << 20;
constexpr char kHub[] = "docker.io";
constexpr char kHubServer[] = "https://index.docker.io/v1/";  // as its login is kept

// "host[:port]" or "host[:port]/name/of": lower case where case does not count.
std::string normal_key(std::string_view key) {
  const size_t scheme = key.find("://");
  const bool is_url = scheme != std::string_view::npos;
  if (is_url) key.remove_prefix(scheme + 3);
  std::string host(key.substr(0, key.find('/')));
  std::string_view path = key.substr(host.size());
  std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  });
  while (path.ends_with('/')) path.remove_suffix(1);
  // A URL leads to an API, and not to a repository.
  if (is_url || path == "/v1" || path == "/v2") path = {};
  if (host == "index.docker.io" || host == "registry-1.docker.io") host = kHub;
  return host + std::string(path);
}

// Keys that a registry can be known by: its default port may be written or not.
std::vector<std::string> names_of(const Url& registry) {
  const std::string with_port = fmt::format("{}:{}", registry.host, registry.port);
  if (registry.port != (registry.scheme == "https" ? 443 : 80)) return {with_port};
  return {normal_key(registry.host), with_port};
}

std::string text_of(const json& object, const char* key) {
  auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

// nullopt: it is no login.
std::optional<RegistrySecrets> secrets_of(const json& entry) {
  RegistrySecrets out;
  out.username = text_of(entry, "username");
  out.password = text_of(entry, "password");
  out.identity_token = text_of(entry, "identitytoken");
  out.bearer = text_of(entry, "registrytoken");
  if (const std::string auth = text_of(entry, "auth"); !auth.empty()) {
    const auto both = base64_decode(auth);
    const size_t colon = both ? both->find(':') : std::string::npos;
    if (colon == std::string::npos || colon == 0) return std::nullopt;
    out.username = both->substr(0, colon);
    out.password = both->substr(colon + 1);
    while (out.password.ends_with('\0')) out.password.pop_back();  // old dockers wrote them
  }
  if (!out.bearer.empty() && !is_bearer_token(out.bearer)) return std::nullopt;
  return out;
}

}  // namespace

Result<DockerConfig> DockerConfig::load(const std::string& path) {
  // O_NONBLOCK: a pipe put in its place must not hang the mount.
  auto fd = posix::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
  if (!fd) return fail(fd.error());
  auto invalid = [&](std::string_view why) {
    return fail(ErrorKind::kInvalid, fmt::format("{}: {}", path, why));
  };
  auto st = posix::stat_fd(fd->get());
  if (!st) return fail(st.error().in(path));
  if (!S_ISREG(st->st_mode)) return invalid("not a regular file");
  std::string text(kLongestConfig, '\0');
  auto size = posix::read_at(fd->get(), std::as_writable_bytes(std::span(text)), 0);
  if (!size) return fail(size.error().in(path));
  if (*size == kLongestConfig) return invalid("too large");
  text.resize(*size);

  const json tree = text.empty() ? json::object() : json::parse(text, nullptr, false);
  if (!tree.is_object()) return invalid("is no JSON object");
  DockerConfig config;
  config.path_ = path;
  for (const char* key : {"auths", "credHelpers"})
    if (auto it = tree.find(key); it != tree.end() && !it->is_object() && !it->is_null())
      return invalid(fmt::format("{} is no object", key));
  bool secret = false;
  if (auto auths = tree.find("auths"); auths != tree.end())
    for (const auto& [key, value] : auths->items()) {
      const std::string normal = normal_key(key);
      config.keys_.emplace(normal, key);
      if (!value.is_object()) continue;
      auto secrets = secrets_of(value);
      if (secrets && secrets->empty()) continue;  // a helper has it
      secret = true;
      if (secrets) secrets->whence = path;
      config.logins_.emplace(normal, Entry{secrets.value_or(RegistrySecrets{}), !secrets});
    }
  if (auto helpers = tree.find("credHelpers"); helpers != tree.end())
    for (const auto& [key, value] : helpers->items())
      if (value.is_string() && value != "") {
        const std::string normal = normal_key(key);
        config.helpers_.emplace(
            normal, HelperQuestion{value.get<std::string>(), normal == kHub ? kHubServer : key});
      }
  config.store_ = text_of(tree, "credsStore");
  if (secret && (st->st_mode & S_IROTH) != 0)
    spdlog::warn("{} holds secrets and can be read by everyone", path);
  return config;
}

Result<std::optional<DockerConfig>> DockerConfig::first_of(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    auto config = load(path);
    if (config) return std::move(*config);
    if (config.error().kind == ErrorKind::kNotFound || config.error().sys_errno == ENOTDIR)
      continue;
    // Somebody else's home, as a system service sees it.
    if (config.error().sys_errno == EACCES) {
      spdlog::warn("{}, left out", config.error().message);
      continue;
    }
    return fail(config.error());
  }
  return std::nullopt;
}

Result<std::optional<RegistrySecrets>> DockerConfig::login(const Url& registry,
                                                           const std::string& repository) const {
  for (std::string rest = "/" + repository;; rest.resize(rest.rfind('/'))) {
    if (rest == "/") rest.clear();
    for (const std::string& name : names_of(registry)) {
      auto it = logins_.find(name + rest);
      if (it == logins_.end()) continue;
      if (it->second.wrong)
        return fail(ErrorKind::kInvalid,
                    fmt::format("{}: what stands there for '{}' is no login", path_, it->first));
      return it->second.secrets;
    }
    if (rest.empty()) return std::nullopt;
  }
}

std::string DockerConfig::server_name(const Url& registry) const {
  const auto names = names_of(registry);
  for (const std::string& name : names)
    if (auto it = keys_.find(name); it != keys_.end()) return it->second;
  return names[0] == kHub ? kHubServer : names[0];
}

std::optional<HelperQuestion> DockerConfig::helper(const Url& registry) const {
  for (const std::string& name : names_of(registry))
    if (auto it = helpers_.find(name); it != helpers_.end()) return it->second;
  return std::nullopt;
}

std::optional<HelperQuestion> DockerConfig::store(const Url& registry) const {
  if (store_.empty()) return std::nullopt;
  return HelperQuestion{store_, server_name(registry)};
}

}  // namespace imgcachefs
