#include "fetch/keystone_token.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;

HttpAnswer answer(std::string body, std::string token = "gAAAA-_=") {
  HttpAnswer out;
  out.head.status = 201;
  out.head.url = "http://keystone/v3/auth/tokens";
  if (!token.empty()) out.head.headers.emplace_back("x-subject-token", token);
  out.body = std::move(body);
  return out;
}

std::string token_of(const std::string& issued, const std::string& expires) {
  return R"({"token":{"issued_at":")" + issued + R"(","expires_at":")" + expires +
         R"(","project":{"id":"p"}}})";
}

ErrorKind kind_of(const HttpAnswer& answer) {
  auto token = KeystoneToken::of(answer);
  EXPECT_FALSE(token);
  return token ? ErrorKind::kIo : token.error().kind;
}

TEST(KeystoneToken, LifeIsByKeystonesClock) {
  auto token = KeystoneToken::of(
      answer(token_of("2026-11-20T05:53:05.000000Z", "2026-11-20T06:53:05.250000Z")));
  ASSERT_TRUE(token) << token.error().message;
  EXPECT_EQ(token->token, "gAAAA-_=");
  EXPECT_EQ(token->life, 1h + 250ms);
  // Whatever the year is there, over the end of a day of a leap year, without fractions.
  token = KeystoneToken::of(answer(token_of("1996-02-28T23:59:59Z", "1996-02-29T00:00:01+00:00")));
  ASSERT_TRUE(token);
  EXPECT_EQ(token->life, 2s);
  token =
      KeystoneToken::of(answer(token_of("1700-01-01T00:00:00Z", "2250-12-31T23:59:59.99999999Z")));
  ASSERT_TRUE(token);
  EXPECT_GT(token->life, 24h * 365 * 550);
}

TEST(KeystoneToken, NoProjectIsARefusal) {
  EXPECT_EQ(kind_of(answer(R"({"token":{"issued_at":"2026-11-20T05:53:05Z",)"
                           R"("expires_at":"2026-11-20T06:53:05Z"}})")),
            ErrorKind::kDenied);
}

TEST(KeystoneToken, HostileAnswers) {
  const std::string good = token_of("2026-11-20T05:53:05Z", "2026-11-20T06:53:05Z");
  ASSERT_TRUE(KeystoneToken::of(answer(good)));
  for (const std::string& body :
       {std::string(),
        std::string("<html>"),
        std::string("null"),
        std::string("[]"),
        std::string("\"token\""),
        std::string("{}"),
        std::string(R"({"token":[]})"),
        std::string(R"({"token":{}})"),
        std::string(1 << 20, '['),
        R"({"token":)" + std::string(1 << 20, '['),
        good.substr(0, good.size() - 1),
        std::string("{\"token\":\"\xff\"}"),
        std::string(R"({"token":{"issued_at":1,"expires_at":2,"project":{}}})"),
        std::string(R"({"token":{"issued_at":null,"expires_at":{},"project":{}}})"),
        token_of("2026-11-20T05:53:05Z", "2026-11-20T05:53:05Z"),
        token_of("2026-11-20T05:53:05Z", "2026-11-20T05:53:04Z"),
        token_of("2026-11-20T05:53:05Z", "2026-13-20T05:53:05Z"),
        token_of("2026-11-20T05:53:05Z", "2026-11-31T05:53:05Z"),
        token_of("2026-11-20T05:53:05Z", "2026-12-20T25:53:05Z"),
        token_of("2026-11-20T05:53:05Z", "2026-12-20T05:53:05.Zx"),
        token_of("2026-11-20T05:53:05Z", "9999-12-20T05:53:05Z"),
        token_of("", ""),
        token_of("2026-11-20", "2026-11-21"),
        token_of("-", "99999999999999")})
    EXPECT_EQ(kind_of(answer(body)), ErrorKind::kProtocol) << body.substr(0, 100);
}

TEST(KeystoneToken, TheHeaderMustBeFitForOne) {
  const std::string good = token_of("2026-11-20T05:53:05Z", "2026-11-20T06:53:05Z");
  for (const std::string& token : {std::string(), std::string("a b"), std::string("a\rb"),
                                   std::string("\xc3\xa9"), std::string(100'000, 'a')})
    EXPECT_EQ(kind_of(answer(good, token)), ErrorKind::kProtocol);
}

}  // namespace
}  // namespace imgcachefs
