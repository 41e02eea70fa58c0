// Signs JSON as a JWT (RFC 7519, RS256) whose header carries the signer's certificate (x5c), as
// docker-registry wants it of a token server.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace imgcachefs::test {

class TokenSigner {
 public:
  // Makes a key, and writes its self-signed certificate (PEM) to `cert_file`. Throws
  // std::runtime_error.
  explicit TokenSigner(const std::string& cert_file);
  ~TokenSigner();

  std::string sign(const nlohmann::json& claims) const;

 private:
  struct Key;
  std::unique_ptr<Key> key_;
};

}  // namespace imgcachefs::test
