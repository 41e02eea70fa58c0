// What a server wants to see to let us in: WWW-Authenticate (RFC 9110 sections 11.3 and 11.6.1).
//
//   Basic realm="x", Bearer realm="https://auth/token",service="s"  ,  Negotiate dG9rZW42OA==
//
// Commas part challenges as well as parameters: a name with "=" behind it is a parameter of the
// challenge before, one without begins a challenge.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fetch/http_head.h"

namespace imgcachefs {

struct AuthChallenge {
  std::string scheme;                              // lower case
  std::string token68 = {};                        // instead of parameters; "": none
  std::map<std::string, std::string> params = {};  // names in lower case; the first of equal names

  const std::string& get(const std::string& name) const;  // "" when it was not sent
};

// Never fails: what is no challenge is passed over, what is not quoted though it should be is taken
// as it stands. At most 16 challenges of 32 parameters, from the first 16 KiB of a line.
std::vector<AuthChallenge> parse_challenges(std::string_view line);
// Of all the lines of that name; an error in one does not reach into the next.
std::vector<AuthChallenge> challenges_of(const HttpHead& head);

}  // namespace imgcachefs
