#include "fetch/redis_pool.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace imgcachefs {
namespace {

constexpr size_t kMostIdle = 8;

// Errors that say something of the one key (somebody keeps another type there; it is another
// node's of a cluster), and nothing of the next call.
constexpr std::array<std::string_view, 5> kOfTheKey = {"WRONGTYPE", "MOVED", "ASK", "CROSSSLOT",
                                                       "TRYAGAIN"};
constexpr std::array<std::string_view, 3> kUseNames = {"reads", "additions", "removals"};

// The first word of an error: "WRONGTYPE", "OOM".
std::string code_of(const std::string& words) {
  return words.substr(0, std::min(words.find(' '), size_t{32}));
}

// What an error says, fit for a line of the log.
std::string printable(std::string_view words) {
  std::string out(words.substr(0, 160));
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

SocketAddress address_of(const std::string& socket) {
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  std::memcpy(local.sun_path, socket.data(), socket.size());  // RedisUrl saw to its length
  SocketAddress address;
  std::memcpy(&address.storage, &local, sizeof local);
  address.length = sizeof local;
  return address;
}

std::vector<RedisCommand> login_commands(const RedisUrl& url) {
  std::vector<RedisCommand> commands;
  if (url.log_in && url.user.empty()) commands.push_back({"AUTH", url.password});
  if (url.log_in && !url.user.empty()) commands.push_back({"AUTH", url.user, url.password});
  if (url.database != 0) commands.push_back({"SELECT", std::to_string(url.database)});
  return commands;
}

}  // namespace

RedisPool::RedisPool(RedisUrl url, RedisPatience patience)
    : url_(std::move(url)),
      name_(url_.str()),
      patience_(patience),
      server_(patience.pauses),
      uses_{Circuit(patience.pauses), Circuit(patience.pauses), Circuit(patience.pauses)} {
  if (url_.socket.empty()) lookup_.emplace(url_.host, url_.port);
}

std::optional<RedisReplies> RedisPool::run(RedisUse use,
                                           const std::vector<RedisCommand>& commands) {
  {
    std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    if (!uses_[static_cast<size_t>(use)].may_try(now) || !server_.may_try(now)) return std::nullopt;
  }
  auto replies = ask(commands);
  if (!replies) {
    gone(replies.error());
    return std::nullopt;
  }
  answered();
  for (const RedisReply& reply : *replies) {
    if (reply.kind != RedisReply::Kind::kError) continue;
    refused(use, reply.text);
    return std::nullopt;
  }
  std::lock_guard lock(mutex_);
  if (uses_[static_cast<size_t>(use)].worked())
    spdlog::info("layer info: {} takes {} again", name_, kUseNames[static_cast<size_t>(use)]);
  return std::move(*replies);
}

Result<RedisReplies> RedisPool::ask(const std::vector<RedisCommand>& commands) {
  std::optional<RedisConnection> connection = idle_connection();
  const bool reused = connection.has_value();
  for (bool again = false;; again = true) {
    if (!connection) {
      auto made = connect();
      if (!made) return fail(made.error());
      connection = std::move(*made);
    }
    auto replies = connection->run(commands, Clock::now() + patience_.command);
    if (replies) {
      std::lock_guard lock(mutex_);
      if (idle_.size() < kMostIdle) idle_.push_back(std::move(*connection));
      return replies;
    }
    // An idle connection may have been closed by a Redis that was restarted or has a time-out for
    // them: that is no outage yet.
    connection.reset();
    if (again || !reused || replies.error().kind != ErrorKind::kUnavailable) return replies;
  }
}

std::optional<RedisConnection> RedisPool::idle_connection() {
  std::lock_guard lock(mutex_);
  while (!idle_.empty()) {
    RedisConnection connection = std::move(idle_.back());
    idle_.pop_back();
    if (connection.is_quiet()) return connection;
  }
  return std::nullopt;
}

Result<RedisConnection> RedisPool::connect() {
  const auto deadline = Clock::now() + patience_.connect;
  auto addresses = lookup_ ? lookup_->addresses(deadline)
                           : HostLookup::Addresses(std::vector{address_of(url_.socket)});
  if (!addresses) return fail(addresses.error());
  auto connection = RedisConnection::open(*addresses, deadline);
  if (!connection) return connection;
  const auto login = login_commands(url_);
  if (login.empty()) return connection;
  auto replies = connection->run(login, deadline);
  if (!replies) return fail(replies.error());
  for (size_t i = 0; i < replies->size(); ++i) {
    const RedisReply& reply = (*replies)[i];
    // Only its first word: some servers repeat the arguments of a command they do not know.
    if (reply.kind == RedisReply::Kind::kError)
      return fail(ErrorKind::kDenied,
                  fmt::format("{} refused ({})", login[i][0], printable(code_of(reply.text))));
  }
  return connection;
}

void RedisPool::gone(const Error& error) {
  std::lock_guard lock(mutex_);
  idle_.clear();
  if (server_.failed(Clock::now()))
    spdlog::warn("layer info: {}: {}; going on without it", name_, error.message);
}

void RedisPool::answered() {
  std::lock_guard lock(mutex_);
  if (server_.worked()) spdlog::info("layer info: {} answers again", name_);
}

void RedisPool::refused(RedisUse use, const std::string& words) {
  const std::string code = code_of(words);
  const bool of_the_key = std::find(kOfTheKey.begin(), kOfTheKey.end(), code) != kOfTheKey.end();
  std::lock_guard lock(mutex_);
  const bool news = of_the_key ? told_codes_.insert(code).second
                               : uses_[static_cast<size_t>(use)].failed(Clock::now());
  if (news)
    spdlog::warn("layer info: {} refuses {}: {}; going on without", name_,
                 kUseNames[static_cast<size_t>(use)], printable(words));
}

}  // namespace imgcachefs
