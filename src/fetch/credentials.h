// The secrets of a mount, from `credentials=FILE`: `key = value` lines, `#` comments.
//
// The keys: username user_id password token auth_url user_domain_name user_domain_id project_name
// project_id project_domain_name project_domain_id application_credential_id
// application_credential_name application_credential_secret, and cert key (paths of a client
// certificate and its key).
#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace imgcachefs {

class Credentials {
 public:
  Credentials() = default;

  // kInvalid, naming the file and why, unless it is a regular file of mode 0600 or stricter that
  // holds only known keys.
  static Result<Credentials> load(const std::string& path);

  // The value of a key, or "" when it is not set.
  const std::string& get(const std::string& key) const;
  bool empty() const { return values_.empty(); }

  // For secrets that come from elsewhere (clouds.yaml). `key` is one of the keys above; an empty
  // value is as good as none.
  void set(const std::string& key, std::string value);

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace imgcachefs
