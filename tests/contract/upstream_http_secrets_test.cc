// Redirects, TLS and authentication of the HTTP directory: what goes to whom.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "contract/upstream_fixture.h"
#include "support/certificate.h"

namespace imgcachefs {
namespace {

using namespace test;

class HttpSecrets : public ::testing::Test {
 protected:
  Credentials credentials(const std::string& text) {
    const std::string path = dir_.write("credentials", text);
    ::chmod(path.c_str(), 0600);
    return Credentials::load(path).value();
  }
  HttpConfig with(const std::string& text) {
    HttpConfig config = quick_config();
    if (auto added = config.add_login(credentials(text)); !added)
      throw std::runtime_error(added.error().message);
    return config;
  }
  static std::string read_all(Upstream& upstream, const std::string& id = "image") {
    const ImageInfo info = stat_of(upstream, id);
    StringSink sink;
    auto outcome = upstream.read(info, {0, info.size}, sink, {});
    return outcome ? sink.text : "error: " + outcome.error().message;
  }
  static Result<ImageInfo> try_stat(Upstream& upstream) {
    return upstream.stat(id_of("image"), Patience::kFull, {});
  }

  TempDir dir_;
};

constexpr char kBasic[] = "Basic amFuZTpzZWNyZXQ6Kw==";  // jane:secret:+

TEST_F(HttpSecrets, BasicAuthentication) {
  FaultServer server({.authorization = kBasic});
  server.put("/image", Content::of("hello"));
  auto right = open_directory(server.url(), with("username = jane\npassword = secret:+\n"));
  EXPECT_EQ(read_all(*right), "hello");
  EXPECT_EQ(server.count({}), 2u);  // sent at once, not after a 401
  auto wrong = open_directory(server.url(), with("username = jane\npassword = guess\n"));
  EXPECT_KIND(try_stat(*wrong), ErrorKind::kDenied);
  auto none = open_directory(server.url());
  EXPECT_KIND(try_stat(*none), ErrorKind::kDenied);
}

TEST_F(HttpSecrets, BasicAuthenticationOnNginx) {
  TempDir root;
  root.write("image", "hello");
  Nginx nginx(root.path(), {.user = "jane", .password = "pass"});
  auto right = open_directory(nginx.url(), with("username = jane\npassword = pass\n"));
  EXPECT_EQ(read_all(*right), "hello");
  auto wrong = open_directory(nginx.url(), with("username = jane\npassword = x\n"));
  EXPECT_KIND(try_stat(*wrong), ErrorKind::kDenied);
}

TEST_F(HttpSecrets, BearerAuthentication) {
  FaultServer server({.authorization = "Bearer t0ken"});
  server.put("/image", Content::of("hello"));
  auto upstream = open_directory(server.url(), with("token = t0ken\n"));
  EXPECT_EQ(read_all(*upstream), "hello");
}

TEST_F(HttpSecrets, RedirectsAreFollowed) {
  FaultServer server;
  server.put("/real", Content::of("hello"));
  server.on_request([&](const Request& request) {
    Behaviour how;
    if (request.path == "/a/image") how.redirect = "../b?x=1";  // relative
    if (request.path == "/b") how.redirect = server.url("/real");
    return how;
  });
  auto upstream = open_directory(server.url("/a/"));
  EXPECT_EQ(read_all(*upstream), "hello");
  for (int status : {301, 302, 303, 307, 308}) {
    server.fault({.status = status, .redirect = "/real"}, {.path = "/a/image"}, 2);
    EXPECT_EQ(read_all(*upstream), "hello") << status;
  }
}

TEST_F(HttpSecrets, AnotherOriginGetsNoSecret) {
  // The same host, another port: another origin. And a way back, where they are sent again.
  FaultServer home({.authorization = kBasic}), other;
  home.put("/image", Content::of("hello"));
  home.put("/back", Content::of("hello"));
  other.put("/image", Content::of("hello"));
  auto upstream = open_directory(home.url(), with("username = jane\npassword = secret:+\n"));

  home.on_request([&](const Request& request) {
    Behaviour how;
    if (request.path == "/image") how.redirect = other.url("/image");
    return how;
  });
  EXPECT_EQ(read_all(*upstream), "hello");
  ASSERT_GE(other.requests().size(), 2u);
  for (const Request& request : other.requests()) EXPECT_EQ(request.header("authorization"), "");

  other.on_request([&](const Request&) { return Behaviour{.redirect = home.url("/back")}; });
  EXPECT_EQ(read_all(*upstream), "hello");
  EXPECT_EQ(home.requests().back().header("authorization"), kBasic);

  FaultServer same({.authorization = "Bearer t0ken"});
  same.put("/real", Content::of("hello"));
  same.fault({.redirect = "/real"}, {.path = "/image"}, 2);
  auto bearer = open_directory(same.url(), with("token = t0ken\n"));
  EXPECT_EQ(read_all(*bearer), "hello");
  same.fault({.redirect = other.url("/image")}, {.path = "/image"}, 2);
  other.clear_faults();
  EXPECT_EQ(read_all(*bearer), "hello");
  for (const Request& request : other.requests()) EXPECT_EQ(request.header("authorization"), "");
}

TEST_F(HttpSecrets, RedirectsThatAreRefused) {
  FaultServer server;
  server.put("/image", Content::of("hello"));
  auto upstream = open_directory(server.url());
  const std::string with_user = "http://u:p@" + server.authority() + "/image";
  for (const std::string& to :
       {std::string("ftp://127.0.0.1/x"), std::string("file:///etc/passwd"), with_user}) {
    server.fault({.redirect = to}, {}, 1);
    EXPECT_KIND(try_stat(*upstream), ErrorKind::kProtocol);
  }
  server.forget_requests();
  server.fault({.redirect = "/image"}, {}, 0);  // for ever
  EXPECT_KIND(try_stat(*upstream), ErrorKind::kProtocol);
  EXPECT_EQ(server.count({}), 11u);
}

TEST_F(HttpSecrets, ARedirectFromHttpsToHttpIsRefused) {
  const Certificate certificate = make_certificate(dir_, "server");
  FaultServer secure({.cert_file = certificate.cert_file, .key_file = certificate.key_file}), plain;
  plain.put("/image", Content::of("hello"));
  secure.fault({.redirect = plain.url("/image")}, {}, 0);
  HttpConfig config = quick_config();
  config.ca_file = certificate.cert_file;
  auto upstream = open_directory(secure.url(), config);
  EXPECT_KIND(try_stat(*upstream), ErrorKind::kProtocol);
  EXPECT_EQ(plain.count({}), 0u);
}

TEST_F(HttpSecrets, TlsIsVerified) {
  TempDir root;
  root.write("image", "hello");
  Nginx nginx(root.path(), {.tls = true});
  HttpConfig config = quick_config();
  config.ca_file = nginx.ca_file();
  EXPECT_EQ(read_all(*open_directory(nginx.url(), config)), "hello");

  auto unknown = open_directory(nginx.url());
  const auto refused = try_stat(*unknown);
  EXPECT_KIND(refused, ErrorKind::kUnavailable);
  EXPECT_EQ(unknown->stats().requests, 1u);  // does not heal by trying again

  HttpConfig insecure = quick_config();
  insecure.insecure = true;
  EXPECT_EQ(read_all(*open_directory(nginx.url(), insecure)), "hello");
}

TEST_F(HttpSecrets, ClientCertificate) {
  const Certificate server_side = make_certificate(dir_, "server");
  const Certificate client_side = make_certificate(dir_, "client");
  FaultServer server({.cert_file = server_side.cert_file,
                      .key_file = server_side.key_file,
                      .client_ca_file = client_side.cert_file});
  server.put("/image", Content::of("hello"));
  HttpConfig config = quick_config();
  config.retries = 0;
  config.ca_file = server_side.cert_file;
  EXPECT_FALSE(try_stat(*open_directory(server.url(), config)));

  HttpConfig by_option = config;
  by_option.cert = client_side.cert_file;
  by_option.key = client_side.key_file;
  EXPECT_EQ(read_all(*open_directory(server.url(), by_option)), "hello");

  HttpConfig by_file = config;
  by_file.add_certificate(
      credentials("cert = " + client_side.cert_file + "\nkey = " + client_side.key_file + "\n"));
  EXPECT_EQ(read_all(*open_directory(server.url(), by_file)), "hello");
}

TEST_F(HttpSecrets, WhatCannotBeOpened) {
  const HttpConfig config = quick_config();
  for (const char* url : {"http://jane:hush@h/d/", "ftp://h/", "h/d", "http://h/d?x=hush", ""}) {
    auto opened = open_http_directory(url, config, 300s);
    EXPECT_KIND(opened, ErrorKind::kInvalid);
    if (!opened) {
      EXPECT_EQ(opened.error().message.find("hush"), std::string::npos);
    }
  }
  EXPECT_KIND(HttpConfig().add_login(credentials("token = a\nusername = b\n")),
              ErrorKind::kInvalid);
  HttpConfig absent = config;
  absent.ca_file = dir_.file("absent.pem");
  EXPECT_KIND(open_http_directory("https://h/", absent, 300s), ErrorKind::kInvalid);
}

TEST_F(HttpSecrets, ErrorsHoldNoSecret) {
  FaultServer server;
  server.fault({.redirect = server.url("/x?signature=hush")}, {.path = "/image"}, 0);
  auto upstream = open_directory(server.url(), with("username = jane\npassword = hush\n"));
  const auto info = try_stat(*upstream);
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().message.find("hush"), std::string::npos) << info.error().message;
}

}  // namespace
}  // namespace imgcachefs
