#include "fetch/redis_connection.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <system_error>

namespace imgcachefs {
namespace {

using RedisClock = std::chrono::steady_clock;

// Our replies are some hundred bytes and have four elements.
constexpr size_t kMostReplyBytes = 64 << 10;
constexpr size_t kMostElements = 64;

Error gone(int sys_errno) {
  return Error{ErrorKind::kUnavailable, std::generic_category().message(sys_errno)};
}

Status wait_for(int fd, short events, RedisConnection::Deadline deadline) {
  for (;;) {
    // Rounded up: a wait that is cut to zero would spin through the last millisecond.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - RedisClock::now());
    if (left.count() <= 0) return fail(ErrorKind::kTimeout, "no answer in time");
    pollfd wait{fd, events, 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(left.count()));
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return fail(gone(errno));
  }
}

Result<UniqueFd> connect_to(const SocketAddress& address, RedisConnection::Deadline deadline) {
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(gone(errno));
  if (address.storage.ss_family != AF_UNIX) {
    int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  // An interrupted connect goes on like one that is in progress. EAGAIN is a socket's full queue.
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) == 0)
    return fd;
  if (errno != EINPROGRESS && errno != EINTR) return fail(gone(errno));
  if (auto ready = wait_for(fd.get(), POLLOUT, deadline); !ready) return fail(ready.error());
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) < 0) error = errno;
  if (error != 0) return fail(gone(error));
  return fd;
}

// hiredis makes room for as many elements as it is told there will be. How many is an int, and a
// size_t since hiredis 1.0.
template <typename Count>
void* create_array(const redisReadTask* task, Count elements);

// hiredis' own functions for replies, but for that one. They are not named in its headers, so they
// are taken from a reader.
redisReplyObjectFunctions own_functions(decltype(redisReplyObjectFunctions::createArray) array) {
  std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader(redisReaderCreate(),
                                                                  &redisReaderFree);
  if (!reader) throw std::bad_alloc();
  redisReplyObjectFunctions functions = *reader->fn;
  if (array != nullptr) functions.createArray = array;
  return functions;
}

template <typename Count>
void* create_array(const redisReadTask* task, Count elements) {
  static const redisReplyObjectFunctions hiredis = own_functions(nullptr);
  return static_cast<size_t>(elements) > kMostElements ? nullptr
                                                       : hiredis.createArray(task, elements);
}

redisReplyObjectFunctions* bounded_functions() {
  static redisReplyObjectFunctions functions = own_functions(create_array);
  return &functions;
}

RedisReply own(const redisReply& reply) {
  RedisReply out;
  switch (reply.type) {
    case REDIS_REPLY_NIL:
      break;
    case REDIS_REPLY_INTEGER:
      out.kind = RedisReply::Kind::kInteger;
      out.integer = reply.integer;
      break;
    case REDIS_REPLY_ARRAY:
      out.kind = RedisReply::Kind::kArray;
      for (size_t i = 0; i < reply.elements; ++i) out.elements.push_back(own(*reply.element[i]));
      break;
    default:
      out.kind =
          reply.type == REDIS_REPLY_ERROR ? RedisReply::Kind::kError : RedisReply::Kind::kText;
      out.text.assign(reply.str, reply.len);
      break;
  }
  return out;
}

std::string wire_format(const std::vector<RedisCommand>& commands) {
  std::string bytes;
  for (const RedisCommand& command : commands) {
    std::vector<const char*> words;
    std::vector<size_t> lengths;
    for (const std::string& word : command) {
      words.push_back(word.data());
      lengths.push_back(word.size());
    }
    char* raw = nullptr;
    const int length =
        redisFormatCommandArgv(&raw, static_cast<int>(words.size()), words.data(), lengths.data());
    if (length < 0) throw std::bad_alloc();
    bytes.append(raw, static_cast<size_t>(length));
    redisFreeCommand(raw);
  }
  return bytes;
}

}  // namespace

void RedisConnection::FreeReader::operator()(redisReader* reader) const {
  redisReaderFree(reader);
}

RedisConnection::RedisConnection(UniqueFd fd)
    : fd_(std::move(fd)), reader_(redisReaderCreateWithFunctions(bounded_functions())) {
  if (!reader_) throw std::bad_alloc();
}

Result<RedisConnection> RedisConnection::open(const std::vector<SocketAddress>& addresses,
                                              Deadline deadline) {
  Error error{ErrorKind::kUnavailable, "no address"};
  for (size_t i = 0; i < addresses.size(); ++i) {
    // One that swallows packets leaves time for those behind it.
    const auto now = RedisClock::now();
    const auto share = (deadline - now) / static_cast<int>(addresses.size() - i);
    auto fd = connect_to(addresses[i], now + share);
    if (fd) return RedisConnection(std::move(*fd));
    error = fd.error();
  }
  return fail(error);
}

Result<RedisReplies> RedisConnection::run(const std::vector<RedisCommand>& commands,
                                          Deadline deadline) {
  if (auto sent = send(wire_format(commands), deadline); !sent) return fail(sent.error());
  RedisReplies replies;
  size_t taken = 0;
  while (replies.size() < commands.size()) {
    void* raw = nullptr;
    if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK)
      return fail(ErrorKind::kProtocol, "it does not answer like Redis");
    if (raw == nullptr) {
      if (auto more = receive(taken, deadline); !more) return fail(more.error());
      continue;
    }
    std::unique_ptr<void, decltype(&freeReplyObject)> reply(raw, &freeReplyObject);
    replies.push_back(own(*static_cast<const redisReply*>(raw)));
  }
  // The next call would take it for its own answer.
  if (reader_->pos < reader_->len) return fail(ErrorKind::kProtocol, "it answers without question");
  return replies;
}

Status RedisConnection::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      if (auto ready = wait_for(fd_.get(), POLLOUT, deadline); !ready) return ready;
    } else if (errno != EINTR) {
      return fail(gone(errno));
    }
  }
  return {};
}

Status RedisConnection::receive(size_t& taken, Deadline deadline) {
  // Asked before each piece, so that a sender who never stops does not outlast the deadline.
  if (auto ready = wait_for(fd_.get(), POLLIN, deadline); !ready) return ready;
  std::array<char, 4096> piece;
  const ssize_t n = ::recv(fd_.get(), piece.data(), piece.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (n < 0) return fail(gone(errno));
  if (n == 0) return fail(ErrorKind::kUnavailable, "it hung up");
  taken += static_cast<size_t>(n);
  if (taken > kMostReplyBytes) return fail(ErrorKind::kProtocol, "a reply without end");
  if (redisReaderFeed(reader_.get(), piece.data(), static_cast<size_t>(n)) != REDIS_OK)
    return fail(ErrorKind::kProtocol, "it does not answer like Redis");
  return {};
}

bool RedisConnection::is_quiet() const {
  char byte;
  return ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

}  // namespace imgcachefs
