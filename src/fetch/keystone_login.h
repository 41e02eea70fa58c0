// What we tell Keystone to be let in: the body of POST /v3/auth/tokens (Identity API v3).
//
// Of these keys of the credentials:
//   a password                 password; username or user_id; project_name or project_id; the
//                              domains of user and project as *_domain_id or *_domain_name, where
//                              they are not known by ID ("default", as Keystone's bootstrap calls
//                              its first one, where neither is given)
//   an application credential  application_credential_secret; application_credential_id, or
//                              application_credential_name and the user. It has a project of its
//                              own, and Keystone refuses one that asks for another.
#pragma once

#include <string>

#include "base/result.h"
#include "fetch/credentials.h"

namespace imgcachefs {

struct KeystoneLogin {
  std::string url;   // of the tokens, without a query
  std::string body;  // JSON: a secret
  std::string who;   // for messages: the user, never a secret

  // kInvalid, naming the key that is missing or wrong.
  static Result<KeystoneLogin> of(const Credentials& secrets);
};

}  // namespace imgcachefs
