#include "fetch/url.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

TEST(Url, Parts) {
  auto url = Url::parse("HTTPS://User:pw@Example.ORG:8443/a%20b/c?x=1#frag").value();
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.user_info, "User:pw");
  EXPECT_EQ(url.host, "example.org");
  EXPECT_EQ(url.port, 8443);
  EXPECT_EQ(url.path, "/a%20b/c");
  EXPECT_EQ(url.query, "x=1");
  EXPECT_EQ(url.str(), "https://example.org:8443/a%20b/c?x=1");
}

TEST(Url, Defaults) {
  EXPECT_EQ(Url::parse("http://h").value().str(), "http://h/");
  EXPECT_EQ(Url::parse("http://h:80/x").value().str(), "http://h/x");
  EXPECT_EQ(Url::parse("https://h").value().port, 443);
  EXPECT_EQ(Url::parse("http://[::1]:8080/x").value().host, "[::1]");
  EXPECT_EQ(Url::parse("http://[::1]/x").value().port, 80);
}

TEST(Url, WhatAUserTypesIsMadeFitToBeSent) {
  EXPECT_EQ(Url::parse("http://h/my images/ä").value().path, "/my%20images/%C3%A4");
}

TEST(Url, Refused) {
  for (const char* text :
       {"", "h/x", "ftp://h/x", "file:///etc/passwd", "http://", "http:///x", "http://h:0/",
        "http://h:99999/", "http://h:x/", "http://[::1/x", "http://a b/", "http://h\r\nX: y/"})
    EXPECT_FALSE(Url::parse(text)) << text;
}

TEST(Url, OriginIsSchemeHostAndPort) {
  const Url base = Url::parse("http://h/a").value();
  EXPECT_TRUE(base.same_origin(Url::parse("http://H:80/b?c").value()));
  EXPECT_FALSE(base.same_origin(Url::parse("https://h/a").value()));
  EXPECT_FALSE(base.same_origin(Url::parse("http://h:81/a").value()));
  EXPECT_FALSE(base.same_origin(Url::parse("http://h.x/a").value()));
}

TEST(PercentEncoding, ThereAndBack) {
  EXPECT_EQ(percent_encode("a b+c#%.img"), "a%20b%2Bc%23%25.img");
  EXPECT_EQ(percent_encode("ä"), "%C3%A4");
  EXPECT_EQ(percent_encode("A-z_0.~"), "A-z_0.~");
  EXPECT_EQ(percent_decode("a%20b%2bc%C3%a4"), "a b+cä");
  EXPECT_EQ(percent_decode("a+b"), "a+b");
  for (const char* text : {"%", "%4", "%zz", "%-1", "%00", "a%4"})
    EXPECT_EQ(percent_decode(text), std::nullopt) << text;
}

TEST(NameUnder, FindsNamesInTheDirectoryOnly) {
  const Url dir = Url::parse("http://h/a%20b/").value();
  EXPECT_EQ(name_under(dir, "x.img"), "x.img");
  EXPECT_EQ(name_under(dir, "./x%23y"), "x#y");
  EXPECT_EQ(name_under(dir, "./sha256:ab"), "sha256:ab");
  EXPECT_EQ(name_under(dir, "/a%20b/x"), "x");
  EXPECT_EQ(name_under(dir, "/a b/x"), "x");
  EXPECT_EQ(name_under(dir, "http://H:80/a%20b/x#top"), "x");
  EXPECT_EQ(name_under(dir, "//h/a%20b/x"), "x");
  for (const char* link :
       {"", "../", "/", "sub/", "sub/x", "?C=N;O=D", "x?y", "#top", "/other/x", "http://g/a%20b/x",
        "https://h/a%20b/x", "mailto:a@b", "javascript:x()", "a%2fb", "/a%20b/", "%zz"})
    EXPECT_EQ(name_under(dir, link), std::nullopt) << link;
}

}  // namespace
}  // namespace imgcachefs
