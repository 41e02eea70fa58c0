// The real keystone on loopback, for the life of the object: fernet tokens, SQLite, nothing cached.
//
//     KeystoneServer keystone({.token_ttl = 15s});
//     GlanceServer glance({.keystone = &keystone});   // and registers itself as the image service
//     keystone.auth_url(), keystone.demo().password, keystone.application_credential().id ...
//
// There are, in the domain "default": `admin` of project `admin` (role admin), `glance` of project
// `service` (role admin; the service user), `demo` of project `demo` (role member), and an
// application credential of demo's. The image service has the
// endpoints public, internal and admin in RegionOne. The first start of a build takes some seconds
// (template_dir.h), later ones about one. Throws std::runtime_error, with the log, when it does not
// come up.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "support/child_server.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

struct KeystoneOptions {
  std::chrono::seconds token_ttl{3600};
};

struct KeystoneUser {
  std::string name, password, project, user_id, project_id;
};

struct ApplicationCredential {
  std::string id, name, secret;  // of demo
};

class KeystoneServer {
 public:
  explicit KeystoneServer(KeystoneOptions options = {});

  uint16_t port() const { return port_; }
  std::string url() const;  // without the version
  std::string auth_url() const {
    return url() + "/v3";
  }  // as credentials files and clouds.yaml say

  const KeystoneUser& admin() const { return admin_; }
  const KeystoneUser& service() const { return service_; }
  const KeystoneUser& demo() const { return demo_; }
  const ApplicationCredential& application_credential() const { return credential_; }

  // A new token of that user for its project. Throws when Keystone refuses.
  std::string token(const KeystoneUser& user) const;
  void revoke(const std::string& token) const;

  // What the catalogue says of the image service; interface: "public", "internal", "admin".
  void set_image_endpoint(const std::string& interface, const std::string& url);
  void set_image_endpoints(const std::string& url);  // all three

  void stop() { server_.stop(); }
  void start();             // again, at the same port, with the same users and keys
  std::string log() const;  // what it and its container said

 private:
  std::string write_config(const std::string& dir) const;
  void sql(const std::string& statement) const;

  KeystoneOptions options_;
  TempDir dir_;
  uint16_t port_ = 0;
  KeystoneUser admin_, service_, demo_;
  ApplicationCredential credential_;
  ChildServer server_;
};

}  // namespace imgcachefs::test
