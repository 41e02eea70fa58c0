#include "support/fault_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "support/form.h"
#include "support/server_socket.h"

namespace imgcachefs::test {
namespace {

constexpr size_t kSlice = 64 << 10;

uint64_t mix(uint64_t x) {  // splitmix64
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

bool matches(const Match& match, const Request& request) {
  return (match.method.empty() || match.method == request.method) &&
         (match.path.empty() || match.path == request.path);
}

// [begin, end) of "bytes=a-b", "bytes=a-", "bytes=-n"; nullopt: no range that we understand.
std::optional<std::pair<uint64_t, uint64_t>> asked_range(const std::string& header, uint64_t size) {
  if (!header.starts_with("bytes=") || header.find(',') != std::string::npos) return std::nullopt;
  const std::string spec = header.substr(6);
  const size_t dash = spec.find('-');
  if (dash == std::string::npos) return std::nullopt;
  auto number = [](const std::string& text) {
    uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  const std::string first = spec.substr(0, dash), last = spec.substr(dash + 1);
  if (first.empty()) return std::pair(size - std::min(size, number(last)), size);
  const uint64_t end = last.empty() ? size : std::min(size, number(last) + 1);
  return std::pair(number(first), end);
}

}  // namespace

void pattern(uint64_t seed, uint64_t offset, std::span<std::byte> out) {
  const uint64_t salt = mix(seed);
  size_t done = 0;
  while (done < out.size()) {
    const uint64_t at = offset + done;
    const uint64_t word = mix(salt ^ (at / 8));
    const size_t skip = at % 8;
    const size_t n = std::min(8 - skip, out.size() - done);
    std::memcpy(out.data() + done, reinterpret_cast<const char*>(&word) + skip, n);
    done += n;
  }
}

std::string pattern_string(uint64_t seed, uint64_t offset, size_t size) {
  std::string out(size, '\0');
  pattern(seed, offset, std::as_writable_bytes(std::span(out)));
  return out;
}

Content Content::of(std::string bytes) {
  uint64_t hash = bytes.size();
  for (unsigned char c : bytes) hash = mix(hash ^ c);
  Content content;
  content.size = bytes.size();
  content.etag = fmt::format("\"{:x}\"", hash);
  content.last_modified = "Thu, 19 Nov 2026 08:00:00 GMT";
  content.fill = [bytes = std::move(bytes)](uint64_t offset, std::span<std::byte> out) {
    std::memcpy(out.data(), bytes.data() + offset, out.size());
  };
  return content;
}

Content Content::generated(uint64_t size, uint64_t seed) {
  Content content;
  content.size = size;
  content.etag = fmt::format("\"{:x}-{:x}\"", size, seed);
  content.last_modified = "Thu, 19 Nov 2026 08:00:00 GMT";
  content.fill = [seed](uint64_t offset, std::span<std::byte> out) { pattern(seed, offset, out); };
  return content;
}

std::string Request::header(const std::string& lower_case_name) const {
  auto it = headers.find(lower_case_name);
  return it == headers.end() ? "" : it->second;
}

class FaultServer::Impl {
 public:
  explicit Impl(FaultServerOptions options)
      : options_(std::move(options)),
        listener_(options_.cert_file, options_.key_file, options_.client_ca_file),
        acceptor_([this] { accept_all(); }) {}

  ~Impl() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
      for (auto& connection : connections_) connection->shut_down();
    }
    changed_.notify_all();
    listener_.shut_down();
    acceptor_.join();
    for (auto& thread : threads_) thread.join();
  }

  struct Fault {
    Behaviour behaviour;
    Match match;
    unsigned times;
  };

  void accept_all();
  void serve(ServerConnection& connection, unsigned number);
  bool answer(ServerConnection& connection, size_t index);
  bool send_body(ServerConnection& connection, size_t index, const Behaviour& how,
                 const Content& content, uint64_t begin, uint64_t end);
  Behaviour decide(const Request& request);
  bool stall();                                    // false: the server is going away
  bool pause(std::chrono::duration<double> time);  // as stall()

  const FaultServerOptions options_;
  ServerListener listener_;

  mutable std::mutex mutex_;  // protects all below
  mutable std::condition_variable changed_;
  bool closing_ = false;
  unsigned releases_ = 0;
  std::map<std::string, Content> contents_;
  std::deque<Fault> faults_;
  std::function<Behaviour(const Request&)> decide_;
  std::deque<Request> requests_;  // appended to; an index stays good until forget_requests()
  size_t forgotten_ = 0;          // how many were dropped from its front
  std::vector<std::shared_ptr<ServerConnection>> connections_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;

  // The record of request `index`, or null when it was forgotten meanwhile. With mutex_ held.
  Request* record(size_t index) {
    return index < forgotten_ ? nullptr : &requests_[index - forgotten_];
  }
};

void FaultServer::Impl::accept_all() {
  unsigned number = 0;
  while (auto connection = listener_.accept()) {
    std::lock_guard lock(mutex_);
    if (closing_) return;
    std::shared_ptr<ServerConnection> shared = std::move(connection);
    connections_.push_back(shared);
    threads_.emplace_back([this, shared, number] {
      serve(*shared, number);
      std::lock_guard done(mutex_);
      std::erase(connections_, shared);  // else every descriptor would stay open to the end
    });
    ++number;
  }
}

void FaultServer::Impl::serve(ServerConnection& connection, unsigned number) {
  if (!connection.handshake()) return connection.close();
  while (auto head = connection.read_head()) {
    Request request;
    request.connection = number;
    size_t line_end = head->find("\r\n");
    const std::string first = head->substr(0, line_end);
    const size_t space = first.find(' '), last = first.rfind(' ');
    if (space == std::string::npos || last <= space) break;
    request.method = first.substr(0, space);
    request.target = first.substr(space + 1, last - space - 1);
    request.path = percent_decoded(request.target.substr(0, request.target.find('?')));
    while (line_end != std::string::npos && line_end + 2 < head->size()) {
      const size_t begin = line_end + 2;
      line_end = head->find("\r\n", begin);
      const std::string line = head->substr(begin, line_end - begin);
      const size_t colon = line.find(':');
      if (colon == std::string::npos) continue;
      std::string name = line.substr(0, colon);
      std::transform(name.begin(), name.end(), name.begin(), ::tolower);
      const size_t value = line.find_first_not_of(' ', colon + 1);
      request.headers[name] = value == std::string::npos ? "" : line.substr(value);
    }
    if (auto length = request.header("content-length"); !length.empty()) {
      auto body = connection.read_body(std::strtoull(length.c_str(), nullptr, 10));
      if (!body) break;
      request.body = std::move(*body);
    }
    size_t index;
    {
      std::lock_guard lock(mutex_);
      index = forgotten_ + requests_.size();
      requests_.push_back(std::move(request));
    }
    changed_.notify_all();
    if (!answer(connection, index)) break;
  }
  connection.close();
}

Behaviour FaultServer::Impl::decide(const Request& request) {
  std::function<Behaviour(const Request&)> decide;
  {
    std::lock_guard lock(mutex_);
    for (auto it = faults_.begin(); it != faults_.end(); ++it) {
      if (!matches(it->match, request)) continue;
      Behaviour behaviour = it->behaviour;
      if (--it->times == 0) faults_.erase(it);
      return behaviour;
    }
    decide = decide_;
  }
  return decide ? decide(request) : Behaviour{};
}

// Answers request `index`; whether the connection can be used again.
bool FaultServer::Impl::answer(ServerConnection& connection, size_t index) {
  Request request;
  std::optional<Content> content;
  {
    std::lock_guard lock(mutex_);
    if (closing_) return false;
    if (Request* r = record(index)) request = *r;
    if (auto it = contents_.find(request.path); it != contents_.end()) content = it->second;
  }
  Behaviour how = decide(request);
  if (how.reset_before_head) return connection.reset(), false;
  if (how.stall_before_head && !stall()) return false;
  if (how.other_content) content = how.other_content;

  const bool is_head = request.method == "HEAD";
  if (!options_.authorization.empty() && request.header("authorization") != options_.authorization)
    how = Behaviour::of_status(401);
  else if (how.redirect && !how.status)
    how.status = 302;
  else if (!how.status && is_head && !options_.head)
    how.status = 405;
  else if (!how.status && !content)
    how.status = 404;

  int status = 200;
  uint64_t begin = 0;
  if (how.status) {
    const std::string type = content ? content->content_type : "text/plain";
    content = Content::of(how.body);
    content->etag = content->last_modified = "";
    content->content_type = type;
    status = *how.status;
  }
  if (how.etag) content->etag = *how.etag;
  if (how.last_modified) content->last_modified = *how.last_modified;
  uint64_t end = content->size;
  std::string content_range;
  if (!how.status && !content->etag.empty() && request.header("if-none-match") == content->etag) {
    status = 304;
    end = 0;
  } else if (auto range = asked_range(request.range(), end);
             range && !how.status && !how.ignore_range) {
    if (range->first >= range->second) {
      status = 416;
      content_range = fmt::format("bytes */{}", content->size);
      end = 0;
    } else {
      status = 206;
      std::tie(begin, end) = *range;
      content_range = fmt::format("bytes {}-{}/{}", begin, end - 1, content->size);
    }
  }
  if (how.content_range) content_range = *how.content_range;

  std::string head = fmt::format("HTTP/1.1 {} Scripted\r\nServer: fault\r\n", status);
  auto add = [&head](const std::string& name, const std::string& value) {
    if (!value.empty()) head += name + ": " + value + "\r\n";
  };
  if (status != 304) add("Content-Type", content->content_type);
  add("ETag", content->etag);
  add("Last-Modified", content->last_modified);
  if (!how.status && !how.ignore_range && !how.no_accept_ranges) add("Accept-Ranges", "bytes");
  add("Content-Range", content_range);
  add("Location", how.redirect.value_or(""));
  add("Content-Encoding", how.content_encoding.value_or(""));
  for (const auto& [name, value] : content->headers) add(name, value);
  for (const auto& [name, value] : how.headers) add(name, value);
  bool keep = request.header("connection") != "close";
  if (how.chunked) {
    add("Transfer-Encoding", "chunked");
  } else if (status != 304) {
    add("Content-Length", how.content_length.value_or(std::to_string(end - begin)));
    if (how.content_length) keep = false;
  }
  if (!keep) add("Connection", "close");
  head += "\r\n";
  {
    std::lock_guard lock(mutex_);
    if (Request* r = record(index)) r->status = status;
  }
  if (!connection.send(head)) return false;
  if (is_head || status == 304) return keep;
  return send_body(connection, index, how, *content, begin, end) && keep;
}

// Whether the connection can be used again.
bool FaultServer::Impl::send_body(ServerConnection& connection, size_t index, const Behaviour& how,
                                  const Content& content, uint64_t begin, uint64_t end) {
  const uint64_t total = end - begin + how.extra_bytes;
  bool stalled = false;
  std::string slice;
  for (uint64_t sent = 0;;) {
    if (how.cut_after && sent >= *how.cut_after) return connection.close(), false;
    if (how.reset_after && sent >= *how.reset_after) return connection.reset(), false;
    if (how.stall_after && sent >= *how.stall_after && !std::exchange(stalled, true) && !stall())
      return false;
    if (sent >= total) break;
    uint64_t n = std::min<uint64_t>(kSlice, total - sent);
    for (auto limit : {how.cut_after, how.reset_after, stalled ? std::nullopt : how.stall_after})
      if (limit) n = std::min(n, *limit - sent);
    if (how.bytes_per_second > 0)
      n = std::min<uint64_t>(n, std::max<uint64_t>(1, how.bytes_per_second / 20));
    slice.assign(n, '\0');
    const uint64_t at = begin + sent;
    if (at < end)
      content.fill(at, std::as_writable_bytes(std::span(slice)).first(std::min(n, end - at)));
    if (how.flip_bit_at && *how.flip_bit_at >= at && *how.flip_bit_at < std::min(at + n, end))
      slice[*how.flip_bit_at - at] ^= 1;
    // Counted before they go: who has received them must find them counted.
    auto count = [&](uint64_t bytes) {
      std::lock_guard lock(mutex_);
      if (Request* r = record(index)) r->body_sent = bytes;
    };
    count(sent + n);
    if (!connection.send(how.chunked ? fmt::format("{:x}\r\n{}\r\n", n, slice) : slice)) {
      count(sent);
      return false;
    }
    sent += n;
    if (how.bytes_per_second > 0 &&
        !pause(std::chrono::duration<double>(static_cast<double>(n) /
                                             static_cast<double>(how.bytes_per_second))))
      return false;
  }
  return !how.chunked || connection.send("0\r\n\r\n");
}

bool FaultServer::Impl::stall() {
  std::unique_lock lock(mutex_);
  const unsigned before = releases_;
  changed_.wait(lock, [&] { return closing_ || releases_ != before; });
  return !closing_;
}

bool FaultServer::Impl::pause(std::chrono::duration<double> time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [&] { return closing_; });
}

FaultServer::FaultServer(FaultServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
FaultServer::~FaultServer() = default;

uint16_t FaultServer::port() const {
  return impl_->listener_.port();
}

std::string FaultServer::authority() const {
  return fmt::format("127.0.0.1:{}", port());
}

std::string FaultServer::url(const std::string& path) const {
  return (impl_->options_.cert_file.empty() ? "http://" : "https://") + authority() + path;
}

void FaultServer::put(const std::string& path, Content content) {
  std::lock_guard lock(impl_->mutex_);
  impl_->contents_[path] = std::move(content);
}

void FaultServer::remove(const std::string& path) {
  std::lock_guard lock(impl_->mutex_);
  impl_->contents_.erase(path);
}

void FaultServer::fault(Behaviour behaviour, Match match, unsigned times) {
  std::lock_guard lock(impl_->mutex_);
  impl_->faults_.push_back({std::move(behaviour), std::move(match), times});
}

void FaultServer::on_request(std::function<Behaviour(const Request&)> decide) {
  std::lock_guard lock(impl_->mutex_);
  impl_->decide_ = std::move(decide);
}

void FaultServer::clear_faults() {
  std::lock_guard lock(impl_->mutex_);
  impl_->faults_.clear();
  impl_->decide_ = nullptr;
}

void FaultServer::release() {
  {
    std::lock_guard lock(impl_->mutex_);
    ++impl_->releases_;
  }
  impl_->changed_.notify_all();
}

std::vector<Request> FaultServer::requests() const {
  std::lock_guard lock(impl_->mutex_);
  return {impl_->requests_.begin(), impl_->requests_.end()};
}

size_t FaultServer::count(const Match& match) const {
  std::lock_guard lock(impl_->mutex_);
  return static_cast<size_t>(
      std::count_if(impl_->requests_.begin(), impl_->requests_.end(),
                    [&](const Request& request) { return matches(match, request); }));
}

uint64_t FaultServer::sent_bytes(const std::string& path) const {
  std::lock_guard lock(impl_->mutex_);
  uint64_t sum = 0;
  for (const Request& request : impl_->requests_)
    if (request.path == path) sum += request.body_sent;
  return sum;
}

void FaultServer::forget_requests() {
  std::lock_guard lock(impl_->mutex_);
  impl_->forgotten_ += impl_->requests_.size();
  impl_->requests_.clear();
}

bool FaultServer::wait_for(const Match& match, size_t count,
                           std::chrono::milliseconds patience) const {
  std::unique_lock lock(impl_->mutex_);
  return impl_->changed_.wait_for(lock, patience, [&] {
    return static_cast<size_t>(
               std::count_if(impl_->requests_.begin(), impl_->requests_.end(),
                             [&](const Request& r) { return matches(match, r); })) >= count;
  });
}

}  // namespace imgcachefs::test
