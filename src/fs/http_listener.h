// HttpListener: a few pages for whoever can connect, over HTTP/1.1. The only file that knows
// libmicrohttpd.
//
// GET and HEAD of the pages it was given; another path is 404, another method 405. A fixed number
// of threads answers, none of which waits for a client, and there is a most of connections. Who
// does nothing for kPatience is cut off. There is no login and no TLS: what is shown must be for
// all who can connect.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "fs/listen_address.h"

struct MHD_Connection;
struct MHD_Daemon;

namespace imgcachefs {

class HttpListener {
 public:
  struct Page {
    std::string type;                   // Content-Type
    std::function<std::string()> text;  // asked anew each time, on any thread; must not throw
    std::string policy = "default-src 'none'";  // Content-Security-Policy
  };
  using Pages = std::map<std::string, Page>;  // by path

  static constexpr unsigned kThreads = 2;  // a page that takes long holds up one of them
  static constexpr unsigned kConnections = 64, kConnectionsOfOneAddress = 32;
  static constexpr std::chrono::seconds kPatience{5};

  // Listens and answers, until it is destroyed. Starts threads: not before the program went to the
  // background. Why it cannot be is said with the address.
  static Result<std::unique_ptr<HttpListener>> start(const ListenAddress& where, Pages pages);

  const std::string& url() const { return url_; }  // "http://127.0.0.1:9109/"

 private:
  explicit HttpListener(Pages pages) : pages_(std::move(pages)) {}
  int answer(MHD_Connection* connection, const std::string& path, std::string_view method) const;

  struct Stop {
    void operator()(MHD_Daemon* server) const;  // waits for answers that are being made
  };
  const Pages pages_;
  std::string url_;
  std::unique_ptr<MHD_Daemon, Stop> server_;  // last: its threads use the others
};

}  // namespace imgcachefs
