// The real nginx on loopback, serving one directory for the life of the object.
//
//   TempDir dir;  dir.write("a.img", ...);
//   Nginx nginx(dir.path(), {.ranges = false});
//   ... nginx.url() ...  nginx.sent_bytes("/a.img")
//
// Runs in the foreground as a child of the test, with configuration, log and temporary files in a
// directory of its own; killed in the destructor. Throws std::runtime_error, with nginx's error
// log, when it does not come up.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/certificate.h"
#include "support/child_server.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

struct NginxOptions {
  bool ranges = true;                    // false: max_ranges 0
  bool tls = false;                      // a self-signed certificate: see ca_file()
  std::string user = {}, password = {};  // basic authentication, when there is a user
  std::string autoindex = {};            // "html", "json"; "" = none
  uint64_t limit_rate = 0;               // bytes per second of one connection; 0 = none
  std::string server_config = {};        // further lines for the server block
};

struct NginxRequest {
  std::string method;
  std::string uri;   // as sent
  std::string path;  // decoded
  std::string range;
  int status = 0;
  uint64_t sent = 0;  // bytes of the body
};

class Nginx {
 public:
  explicit Nginx(const std::filesystem::path& root, NginxOptions options = {});

  uint16_t port() const { return port_; }
  std::string url(const std::string& path = "/") const;
  const std::string& ca_file() const { return certificate_.cert_file; }

  // What the access log says: requests that are over, in the order they ended.
  std::vector<NginxRequest> requests() const;
  uint64_t sent_bytes(const std::string& path) const;  // decoded path, all requests together

  // As the destructor does: connections are refused from now on.
  void stop() { server_.stop(); }
  void start();  // again, at the same port

 private:
  std::filesystem::path root_;
  NginxOptions options_;
  TempDir dir_;
  Certificate certificate_;
  uint16_t port_ = 0;
  ChildServer server_;
};

}  // namespace imgcachefs::test
