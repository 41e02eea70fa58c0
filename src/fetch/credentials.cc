#include "fetch/credentials.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/posix.h"
#include "base/text.h"

namespace imgcachefs {
namespace {

constexpr std::array<std::string_view, 16> kKeys = {
    "username",
    "user_id",
    "password",
    "token",
    "auth_url",
    "user_domain_name",
    "user_domain_id",
    "project_name",
    "project_id",
    "project_domain_name",
    "project_domain_id",
    "application_credential_id",
    "application_credential_name",
    "application_credential_secret",
    // Of HTTP: a client certificate and its key, instead of the mount options of the same names.
    "cert",
    "key",
};

bool is_key(std::string_view key) {
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

}  // namespace

Result<Credentials> Credentials::load(const std::string& path) {
  // O_NONBLOCK: a pipe put in its place must not hang the mount.
  auto fd = posix::open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) {
    if (fd.error().sys_errno == ELOOP)
      return fail(ErrorKind::kInvalid,
                  fmt::format("credentials file {}: is a symbolic link", path));
    return fail(ErrorKind::kInvalid, fmt::format("credentials file {}", fd.error().message));
  }
  auto st = posix::stat_fd(fd->get());
  if (!st) return fail(st.error().in(path));
  if (!S_ISREG(st->st_mode))
    return fail(ErrorKind::kInvalid, fmt::format("credentials file {}: not a regular file", path));
  if ((st->st_mode & 07777 & ~0600u) != 0)
    return fail(ErrorKind::kInvalid,
                fmt::format("credentials file {}: mode {:04o}, must be 0600 or stricter", path,
                            st->st_mode & 07777));
  std::string text(64 << 10, '\0');
  auto n = posix::read_at(fd->get(), std::as_writable_bytes(std::span(text)), 0);
  if (!n) return fail(n.error().in(path));
  if (*n == text.size())
    return fail(ErrorKind::kInvalid, fmt::format("credentials file {}: too large", path));
  text.resize(*n);

  // Errors name the line and the key, never a value.
  Credentials credentials;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = trimmed(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    ++number;
    if (line.empty() || line.starts_with('#')) continue;
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos)
      return fail(ErrorKind::kInvalid,
                  fmt::format("credentials file {}: line {} is not key = value", path, number));
    const std::string key(trimmed(line.substr(0, equals)));
    if (!is_key(key))
      return fail(ErrorKind::kInvalid,
                  fmt::format("credentials file {}: line {}: unknown key '{}'", path, number, key));
    std::string value(trimmed(line.substr(equals + 1)));
    if ((key == "cert" || key == "key") && !value.empty()) {
      // The daemon's working directory is another one.
      std::error_code error;
      auto absolute = std::filesystem::absolute(value, error);
      if (!error) value = absolute.string();
    }
    if (!credentials.values_.try_emplace(key, std::move(value)).second)
      return fail(ErrorKind::kInvalid,
                  fmt::format("credentials file {}: line {}: key '{}' again", path, number, key));
  }
  if (credentials.empty()) spdlog::warn("credentials file {}: nothing in it", path);
  return credentials;
}

const std::string& Credentials::get(const std::string& key) const {
  static const std::string none;
  auto it = values_.find(key);
  return it == values_.end() ? none : it->second;
}

void Credentials::set(const std::string& key, std::string value) {
  assert(is_key(key));
  values_[key] = std::move(value);
}

}  // namespace imgcachefs
