// What systemd is told when it started us (sd_notify(3)): that the mount answers, what the cache is
// like, that options are being read anew, that the end has begun.
#pragma once

#include <string>

namespace imgcachefs {

// Says nothing, and costs nothing, where nobody listens. Any thread.
class ServiceManager {
 public:
  bool listens() const;  // NOTIFY_SOCKET is set

  void ready() const;      // after the start, and after a reload
  void reloading() const;  // ready() ends it
  void stopping() const;
  // One line for people, shown by systemctl status.
  void status(const std::string& line) const;
};

}  // namespace imgcachefs
