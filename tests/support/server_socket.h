// The sockets below FaultServer: a listener on loopback and its connections, plain or TLS.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/posix.h"

namespace imgcachefs::test {

// Used by one thread, except shut_down().
class ServerConnection {
 public:
  ServerConnection(UniqueFd fd, SSL_CTX* tls);
  ~ServerConnection();

  bool handshake();                                   // TLS; true at once without
  std::optional<std::string> read_head();             // up to the empty line; nullopt: gone
  std::optional<std::string> read_body(size_t size);  // what comes next; nullopt: gone
  bool send(const std::string& bytes);                // all of them
  void close();                                       // FIN
  void reset();                                       // RST
  void shut_down();  // from any thread: ends what the others wait in

 private:
  bool receive();  // more into buffer_; false: gone

  UniqueFd fd_;
  SSL* ssl_ = nullptr;
  std::string buffer_;
};

class ServerListener {
 public:
  // PEM files; no certificate: plain. Throws std::runtime_error.
  ServerListener(const std::string& cert, const std::string& key, const std::string& client_ca);

  uint16_t port() const { return port_; }
  std::unique_ptr<ServerConnection> accept();  // null after shut_down()
  void shut_down();

 private:
  std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> tls_{nullptr, &SSL_CTX_free};
  UniqueFd fd_;
  uint16_t port_ = 0;
};

}  // namespace imgcachefs::test
