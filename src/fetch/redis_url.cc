#include "fetch/redis_url.h"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "fetch/url.h"

namespace imgcachefs {
namespace {

constexpr uint32_t kMostDatabases = 1'000'000;

tl::unexpected<Error> bad_redis_url(std::string_view why) {
  return fail(ErrorKind::kInvalid, fmt::format("not a usable Redis URL: {}", why));
}

std::optional<uint32_t> small_number(std::string_view text, uint32_t most) {
  uint32_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > most)
    return std::nullopt;
  return number;
}

bool has_odd_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c <= ' ' || c == 0x7f; });
}

Status read_user_info(std::string_view text, RedisUrl& url) {
  const size_t colon = text.find(':');
  auto user = percent_decode(text.substr(0, colon));
  auto password = percent_decode(colon == std::string_view::npos ? "" : text.substr(colon + 1));
  if (!user || !password) return bad_redis_url("a '%' in user or password is written %25");
  url.user = *user;
  url.password = *password;
  url.log_in = !user->empty() || !password->empty();
  return {};
}

Status read_host(std::string_view text, RedisUrl& url) {
  size_t host_end = 0;
  if (text.starts_with('[')) {
    host_end = text.find(']');
    if (host_end == std::string_view::npos) return bad_redis_url("'[' without ']'");
    url.host = text.substr(1, host_end - 1);
    ++host_end;
  } else {
    host_end = std::min(text.find(':'), text.size());
    url.host = text.substr(0, host_end);
  }
  if (url.host.empty()) return bad_redis_url("no host");
  if (has_odd_character(url.host)) return bad_redis_url("a host name cannot be so");
  text.remove_prefix(host_end);
  if (text.empty()) return {};
  auto port = small_number(text.substr(1), 65535);
  if (text.front() != ':' || !port || *port == 0)
    return bad_redis_url("the port is no number from 1 to 65535 (a '/' in a password is %2F)");
  url.port = static_cast<uint16_t>(*port);
  return {};
}

Status read_database(std::string_view text, RedisUrl& url) {
  auto number = small_number(text, kMostDatabases);
  if (!number) return bad_redis_url("the database is no number (a '/' in a password is %2F)");
  url.database = *number;
  return {};
}

}  // namespace

Result<RedisUrl> RedisUrl::parse(std::string_view text) {
  const bool is_socket = text.starts_with("unix://");
  if (text.starts_with("rediss://")) return bad_redis_url("TLS (rediss://) is not spoken here");
  if (!is_socket && !text.starts_with("redis://"))
    return bad_redis_url("neither redis://HOST[:PORT][/DB] nor unix:///PATH[?db=DB]");
  text.remove_prefix(text.find("://") + 3);

  RedisUrl url;
  const size_t authority_end = std::min(text.find_first_of("/?#"), text.size());
  std::string_view authority = text.substr(0, authority_end);
  text.remove_prefix(authority_end);
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    if (auto read = read_user_info(authority.substr(0, at), url); !read) return fail(read.error());
    authority.remove_prefix(at + 1);
  }
  if (is_socket) {
    if (!authority.empty()) return bad_redis_url("a socket has no host: unix:///PATH");
    const size_t question = text.find('?');
    url.socket = text.substr(0, question);
    if (url.socket.size() < 2) return bad_redis_url("no path of a socket");
    if (url.socket.size() >= sizeof(sockaddr_un{}.sun_path))
      return bad_redis_url("the path is too long for a socket's");
    if (question != std::string_view::npos) {
      text.remove_prefix(question + 1);
      if (!text.starts_with("db=")) return bad_redis_url("only ?db=DB may come behind the path");
      if (auto read = read_database(text.substr(3), url); !read) return fail(read.error());
    }
    return url;
  }
  if (auto read = read_host(authority, url); !read) return fail(read.error());
  if (text.empty() || text == "/") return url;
  if (!text.starts_with('/')) return bad_redis_url("only /DB may come behind host and port");
  if (auto read = read_database(text.substr(1), url); !read) return fail(read.error());
  return url;
}

std::string RedisUrl::str() const {
  if (!socket.empty())
    return fmt::format("unix://{}{}", socket, database == 0 ? "" : fmt::format("?db={}", database));
  const bool is_ipv6 = host.find(':') != std::string::npos;
  return fmt::format("redis://{}{}{}:{}/{}", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", port,
                     database);
}

}  // namespace imgcachefs
