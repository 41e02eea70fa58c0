// A token server of a registry, made of a FaultServer: docker's token authentication with GET, and
// with OAuth2's POST; on top of it whatever FaultServer can do wrong.
//
//   TokenServer tokens({.users = {{"alice", "alicepw", "alice-id"}}});
//   ... WWW-Authenticate: tokens.challenge("repository:team/vm:pull") ...
//   EXPECT_TRUE(tokens.allows(request.header("authorization"), "repository:team/vm:pull"));
//   tokens.server().fault(Behaviour::of_status(503), TokenServer::any(), 0);
//
// Its tokens are opaque and counted ("token-1", ...), or, with an `issuer`, the JWTs that the real
// docker-registry takes for `auth: token` when rootcertbundle is cert_file().
// Every method may be called from any thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "support/fault_server.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

class TokenSigner;

struct TokenUser {
  std::string name, password;
  std::string identity = {};  // the refresh token of OAuth2; "": none
};

struct TokenServerOptions {
  std::vector<TokenUser> users = {};
  std::string service = "my-registry";
  std::chrono::milliseconds life{300'000};
  std::string issuer = {};  // of JWTs; "": opaque tokens
  // What `user` ("": anonymous) may do in a repository; unset: pull all but private/*, and
  // everything for users.
  std::function<bool(const std::string& user, const std::string& repository,
                     const std::string& action)>
      may = {};
  FaultServerOptions http = {};
};

// What somebody asked for.
struct TokenRequest {
  std::string method, user;
  std::map<std::string, std::string> asked;  // the form; scopes are not in it
  std::vector<std::string> scopes;
  bool given = false;
};

class TokenServer {
 public:
  explicit TokenServer(TokenServerOptions options = {});
  ~TokenServer();

  FaultServer& server() { return server_; }
  static Match any() { return {.path = "/token"}; }
  std::string realm() const { return server_.url("/token"); }
  // The value of WWW-Authenticate that leads here.
  std::string challenge(const std::string& scope = "", const std::string& error = "") const;
  std::string cert_file() const;  // PEM, of the key that signs JWTs

  void honest();  // no faults any more

  // From now on.
  void life(std::chrono::milliseconds life);
  void users(std::vector<TokenUser> users);

  // Whether `authorization` holds an opaque token of ours, still good, and good for `scope`.
  bool allows(const std::string& authorization, const std::string& scope) const;
  bool knows(const std::string& authorization) const;  // and still good, for whatever scope
  void revoke_all();                                   // of the opaque ones

  std::vector<TokenRequest> requests() const;  // those that were answered by us and no fault
  size_t count() const { return server_.count(any()); }

 private:
  struct Given {
    std::vector<std::string> grants;  // "repository:team/vm:pull"
    std::chrono::steady_clock::time_point end;
  };

  Behaviour answer(const Request& request);
  std::vector<std::string> granted(const std::string& user,
                                   const std::vector<std::string>& scopes) const;
  const TokenUser* user_of(const TokenRequest& request, const std::string& authorization) const;

  const TokenServerOptions options_;
  TempDir dir_;
  std::unique_ptr<TokenSigner> signer_;

  mutable std::mutex mutex_;  // protects all below but server_
  std::chrono::milliseconds life_;
  std::vector<TokenUser> users_;
  std::map<std::string, Given> given_;  // by token
  std::vector<TokenRequest> requests_;
  int number_ = 0;
  FaultServer server_;
};

}  // namespace imgcachefs::test
