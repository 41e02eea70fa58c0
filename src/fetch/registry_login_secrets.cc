#include "fetch/registry_login_secrets.h"

#include <algorithm>

namespace imgcachefs {

bool is_bearer_token(const std::string& token) {
  constexpr size_t kLongestBearer = 64 << 10;
  return !token.empty() && token.size() <= kLongestBearer &&
         std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace imgcachefs
