// How a registry wants to be shown who we are, by its answer 401.
#pragma once

#include <string>

#include "base/result.h"
#include "fetch/http_head.h"

namespace imgcachefs {

struct RegistryWay {
  enum class Scheme { kBasic, kBearer };

  Scheme scheme = Scheme::kBasic;
  // What follows is of kBearer, and "" where it was not said.
  std::string realm = {};    // http or https URL of the token server; "" also when it is none
  std::string service = {};  // what the token server knows the registry by
  std::string scope = {};    // what the request needed, one or several with blanks between
  std::string error = {};    // what was wrong with the token sent: RFC 6750 section 3.1

  // Of several challenges the first Bearer that names a token server, else Basic, else any Bearer.
  // kDenied, naming what it wants, when there is none that we know.
  static Result<RegistryWay> of(const HttpHead& answer);
};

}  // namespace imgcachefs
