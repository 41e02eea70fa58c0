#include "fetch/http_config.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace imgcachefs {

Status HttpConfig::add_login(const Credentials& credentials) {
  login = {credentials.get("username"), credentials.get("password"), credentials.get("token")};
  if (!login.bearer.empty() && !login.username.empty())
    return fail(ErrorKind::kInvalid, "the credentials file has both a token and a username");
  return {};
}

void HttpConfig::add_certificate(const Credentials& credentials) {
  if (cert.empty()) cert = credentials.get("cert");
  if (key.empty()) key = credentials.get("key");
}

Status HttpConfig::check_files() const {
  for (const auto& [option, file] :
       {std::pair("ca_file", ca_file), std::pair("cert", cert), std::pair("key", key)})
    if (!file.empty() && ::access(file.c_str(), R_OK) != 0)
      return fail(ErrorKind::kInvalid,
                  fmt::format("{}: {}", option, system_error(file, errno).message));
  return {};
}

}  // namespace imgcachefs
