// An HTTP/1.1 server inside the test that does on demand what real servers do on bad days.
//
//   FaultServer server;
//   server.put("/images/a", Content::generated(4ULL << 30));        // costs no memory
//   server.fault({.cut_after = 1000}, {.method = "GET"}, 2);        // the next two GETs are cut
//   auto upstream = open_http_directory(server.url("/images/"), ...);
//   ... EXPECT_EQ(server.sent_bytes("/images/a"), ...);
//
// Without a fault it is an honest server: kept connections, Content-Length, ETag, Last-Modified,
// Accept-Ranges, single byte ranges (206, 416), If-None-Match (304), HEAD, 404. It listens on
// 127.0.0.1 at a port of its own, with a thread per connection; every method may be called from any
// thread at any time. The destructor ends stalls and connections at once.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace imgcachefs::test {

// The bytes [offset, offset + out.size()) of the pseudo-random stream `seed`.
void pattern(uint64_t seed, uint64_t offset, std::span<std::byte> out);
std::string pattern_string(uint64_t seed, uint64_t offset, size_t size);

// What is served under a path.
struct Content {
  uint64_t size = 0;
  std::function<void(uint64_t offset, std::span<std::byte> out)> fill;
  std::string etag;           // "" = the header is not sent
  std::string last_modified;  // as etag
  std::string content_type = "application/octet-stream";
  std::vector<std::pair<std::string, std::string>> headers;  // sent as well

  static Content of(std::string bytes);                        // ETag follows from the bytes
  static Content generated(uint64_t size, uint64_t seed = 1);  // pattern(seed, ...)
};

// What came in, and what became of it.
struct Request {
  std::string method;
  std::string target;                          // as sent: percent-encoded, with its query
  std::string path;                            // decoded, without the query
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // of a POST that says its Content-Length
  int status = 0;                              // what was answered; 0 = nothing yet
  uint64_t body_sent = 0;                      // bytes of the body handed to the kernel so far
  unsigned connection = 0;                     // number of the connection it came over

  std::string header(const std::string& lower_case_name) const;  // "" when absent
  std::string range() const { return header("range"); }
};

// How one request is answered. What is not set is done right.
struct Behaviour {
  // The connection.
  std::optional<uint64_t> cut_after = {};    // close after so many bytes of body
  std::optional<uint64_t> reset_after = {};  // the same with a TCP reset
  std::optional<uint64_t> stall_after = {};  // go silent after so many, until release()
  bool reset_before_head = false;            // reset instead of an answer
  bool stall_before_head = false;            // silent until release(), then answer
  uint64_t bytes_per_second = 0;             // trickle; 0 = as fast as it goes
  // The answer.
  std::optional<int> status = {};  // this status with `body` instead of the content
  std::string body = {};
  std::optional<std::string> redirect = {};  // Location; the status is 302 unless set
  std::vector<std::pair<std::string, std::string>> headers = {};  // added, e.g. Retry-After
  bool ignore_range = false;                                      // 200 with everything
  bool no_accept_ranges = false;  // the header is left out (ranges still work unless ignored)
  std::optional<std::string> content_range = {};   // sent instead of the right one
  std::optional<std::string> content_length = {};  // sent instead; "" = not sent, closed at the end
  bool chunked = false;
  std::optional<std::string> etag = {};           // sent instead; "" = not sent
  std::optional<std::string> last_modified = {};  // sent instead; "" = not sent
  std::optional<std::string> content_encoding = {};
  uint64_t extra_bytes = 0;                   // so many zeros after the body
  std::optional<uint64_t> flip_bit_at = {};   // offset in the content whose lowest bit is wrong
  std::optional<Content> other_content = {};  // as if the content had just been replaced by this

  static Behaviour of_status(int status) {
    Behaviour b;
    b.status = status;
    return b;
  }
};

// Which requests a fault is for; what is empty matches all.
struct Match {
  std::string method = {};
  std::string path = {};  // decoded
};

struct FaultServerOptions {
  std::string cert_file = {}, key_file = {};  // PEM; both empty: plain HTTP
  std::string client_ca_file = {};            // a client certificate of this CA is required
  std::string authorization = {};             // this Authorization header is required, else 401
  bool head = true;                           // false: HEAD is answered with 405
};

class FaultServer {
 public:
  explicit FaultServer(FaultServerOptions options = {});
  ~FaultServer();
  FaultServer(const FaultServer&) = delete;
  FaultServer& operator=(const FaultServer&) = delete;

  uint16_t port() const;
  std::string url(const std::string& path = "/") const;  // "http://127.0.0.1:PORT" + path
  std::string authority() const;                         // "127.0.0.1:PORT"

  void put(const std::string& path, Content content);  // decoded path; replaces
  void remove(const std::string& path);

  // The next `times` requests that match behave so (0: all from now on); the first fault given that
  // matches is the one used.
  void fault(Behaviour behaviour, Match match = {}, unsigned times = 1);
  // Asked for every request that no fault was used for; nullptr: honest again. Runs in the thread
  // of the connection.
  void on_request(std::function<Behaviour(const Request&)> decide);
  void clear_faults();
  // Ends every stall there is now.
  void release();

  std::vector<Request> requests() const;
  size_t count(const Match& match) const;
  uint64_t sent_bytes(const std::string& path) const;  // bodies of all its answers together
  void forget_requests();                              // the records, not the faults
  // Waits until `count` requests matched; false when the time is over first.
  bool wait_for(const Match& match, size_t count, std::chrono::milliseconds patience) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace imgcachefs::test
