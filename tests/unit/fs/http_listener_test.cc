// Pages over HTTP, asked for by curl, and by clients that misbehave.
#include "fs/http_listener.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/posix.h"
#include "support/process.h"

namespace imgcachefs {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::unique_ptr<HttpListener> listen(const std::string& where = "127.0.0.1:0") {
  auto listener = HttpListener::start(
      ListenAddress::parse(where).value(),
      {{"/", {"text/html", [] { return std::string("<p>root</p>"); }, "default-src 'self'"}},
       {"/large", {"text/plain", [] { return std::string(8 << 20, 'x'); }}}});
  if (!listener) throw std::runtime_error(listener.error().message);
  return std::move(*listener);
}

// Head and body, as curl -i prints them.
std::string ask(const std::string& url, std::vector<std::string> options = {}) {
  std::vector<std::string> argv = {"curl", "--noproxy", "*", "-sS", "-i", "--max-time", "20", url};
  argv.insert(argv.end(), options.begin(), options.end());
  auto result = test::run(argv);
  return result.ok() ? result.out : result.describe();
}

UniqueFd connect_to(const std::string& url) {
  const size_t colon = url.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(url.substr(colon + 1))));
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return fd;
}

TEST(HttpListener, AnswersWithThePage) {
  auto listener = listen();
  const std::string answer = ask(listener->url());
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/html\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 11\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Security-Policy: default-src 'self'\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_THAT(answer, HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n<p>root</p>"));
  EXPECT_THAT(ask(listener->url() + "?refresh=1"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST(HttpListener, AnswersHeadWithoutTheBody) {
  auto listener = listen();
  const std::string answer = ask(listener->url(), {"-I"});
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 11\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("<p>")));
}

TEST(HttpListener, RefusesWhatItDoesNotHave) {
  auto listener = listen();
  for (const char* path : {"nothing", "nothing/", "../etc/passwd", "%2e%2e/", "large/x"})
    EXPECT_THAT(ask(listener->url() + path, {"--path-as-is"}), StartsWith("HTTP/1.1 404 ")) << path;
}

TEST(HttpListener, RefusesOtherMethods) {
  auto listener = listen();
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    const std::string answer = ask(listener->url(), {"-X", method});
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 ")) << method;
    EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n")) << method;
  }
  EXPECT_THAT(ask(listener->url(), {"-d", "x=1"}), StartsWith("HTTP/1.1 405 "));
}

TEST(HttpListener, ListensOnIpv6AndOnANamesAddress) {
  auto v6 = listen("[::1]:0");
  EXPECT_THAT(v6->url(), StartsWith("http://[::1]:"));
  EXPECT_THAT(ask(v6->url(), {"-g"}), StartsWith("HTTP/1.1 200 OK\r\n"));
  auto named = listen("localhost:0");
  EXPECT_THAT(ask(named->url(), {"-g"}), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST(HttpListener, SaysWhyItCannotListen) {
  auto first = listen();
  const std::string authority = first->url().substr(7, first->url().size() - 8);
  auto second = HttpListener::start(ListenAddress::parse(authority).value(), {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("metrics_listen=" + authority));
  EXPECT_THAT(second.error().message, HasSubstr("ddress"));  // "Address already in use"
  auto foreign = HttpListener::start(ListenAddress::parse("192.0.2.1:9109").value(), {});
  ASSERT_FALSE(foreign);
  EXPECT_THAT(foreign.error().message, HasSubstr("192.0.2.1:9109"));
  EXPECT_THAT(ask(first->url()), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST(HttpListener, AnswersOthersWhileManyAreSlow) {
  auto listener = listen();
  std::vector<UniqueFd> slow;
  for (unsigned i = 0; i + 2 < HttpListener::kConnectionsOfOneAddress; ++i) {
    slow.push_back(connect_to(listener->url().substr(0, listener->url().size() - 1)));
    // Some do not finish their question, others do not take the answer.
    const std::string_view text =
        i % 2 == 0 ? "GET / HT" : "GET /large HTTP/1.1\r\nHost: h\r\n\r\n";
    ASSERT_EQ(::send(slow.back().get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  EXPECT_THAT(ask(listener->url()), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST(HttpListener, CutsOffWhoDoesNothing) {
  auto listener = listen();
  UniqueFd idle = connect_to(listener->url().substr(0, listener->url().size() - 1));
  char byte;
  EXPECT_EQ(::recv(idle.get(), &byte, 1, 0), 0);  // waits for the end
}

}  // namespace
}  // namespace imgcachefs
