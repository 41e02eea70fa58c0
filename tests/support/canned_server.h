// A server on loopback that says the same to everybody, whatever they ask. For clients that must
// stand nonsense.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "support/server_socket.h"

namespace imgcachefs::test {

struct CannedAnswer {
  enum class Then {
    kWait,
    kHangUp,
    kRepeat,  // the same again and again, at once
    kDrip,    // and a byte of nothing every few milliseconds
  };
  std::string bytes;        // said once on each connection
  Then then = Then::kWait;  // until the other end has gone
  std::string asked = "";   // said only after a question that has this in it; "": any
};

// Connections are served one after the other, the next when the last one's other end is gone.
class CannedServer {
 public:
  explicit CannedServer(CannedAnswer answer);
  ~CannedServer();

  uint16_t port() const { return listener_.port(); }

 private:
  void serve();
  void answer(ServerConnection& connection) const;

  const CannedAnswer answer_;
  ServerListener listener_;
  std::mutex mutex_;  // protects what follows
  std::shared_ptr<ServerConnection> connection_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace imgcachefs::test
