// What one can have to show a registry. All of it is secret but whence it comes.
#pragma once

#include <string>

namespace imgcachefs {

struct RegistrySecrets {
  std::string username, password;  // Basic, for the registry or for its token server
  std::string identity_token;      // shown to the token server instead of a password (OAuth2)
  std::string bearer;              // a token for the registry itself
  std::string whence;              // for messages: "the credentials file", ...

  bool has_password() const { return !username.empty() && !password.empty(); }
  bool empty() const { return !has_password() && identity_token.empty() && bearer.empty(); }
  bool operator==(const RegistrySecrets&) const = default;
};

// Whether it can stand in a header, as "Bearer " + token: visible ASCII, at most 64 KiB.
bool is_bearer_token(const std::string& token);

}  // namespace imgcachefs
