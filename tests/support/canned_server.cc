#include "support/canned_server.h"

#include <chrono>

namespace imgcachefs::test {

CannedServer::CannedServer(CannedAnswer answer)
    : answer_(std::move(answer)), listener_("", "", ""), thread_([this] { serve(); }) {}

CannedServer::~CannedServer() {
  listener_.shut_down();
  {
    std::lock_guard lock(mutex_);
    over_ = true;
    if (connection_) connection_->shut_down();
  }
  thread_.join();
}

void CannedServer::serve() {
  while (std::shared_ptr<ServerConnection> connection = listener_.accept()) {
    {
      std::lock_guard lock(mutex_);
      if (over_) return;
      connection_ = connection;
    }
    answer(*connection);
    std::lock_guard lock(mutex_);
    connection_.reset();
  }
}

void CannedServer::answer(ServerConnection& connection) const {
  std::string asked;
  do {
    auto byte = connection.read_body(1);
    if (!byte) return;
    asked += *byte;
  } while (asked.find(answer_.asked) == std::string::npos);
  while (connection.send(answer_.bytes) && answer_.then == CannedAnswer::Then::kRepeat) {
  }
  while (answer_.then == CannedAnswer::Then::kDrip && connection.send("x"))
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  if (answer_.then == CannedAnswer::Then::kHangUp) {
    connection.close();
    return;
  }
  while (connection.read_body(1)) {
  }
}

}  // namespace imgcachefs::test
