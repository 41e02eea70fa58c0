#include "fetch/registry_token.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using namespace std::chrono_literals;

Result<RegistryToken> token_of(const std::string& body, const std::string& date = "") {
  HttpAnswer answer;
  answer.head.status = 200;
  answer.head.url = "http://auth/token?service=s&scope=s3cret";
  if (!date.empty()) answer.head.headers.emplace_back("date", date);
  answer.body = body;
  return RegistryToken::of(answer);
}

std::chrono::milliseconds life_of(const std::string& members, const std::string& date = "") {
  auto token = token_of(R"({"token":"t")" + members + "}", date);
  EXPECT_TRUE(token) << token.error().message;
  return token ? token->life : -1ms;
}

TEST(RegistryToken, TokenOrAccessToken) {
  EXPECT_EQ(token_of(R"({"token":"a.b-c_d"})")->token, "a.b-c_d");
  EXPECT_EQ(token_of(R"({"access_token":"x"})")->token, "x");
  EXPECT_EQ(token_of(R"({"token":"","access_token":"x"})")->token, "x");
  EXPECT_EQ(token_of(R"({"token":"t","access_token":"x","expires_in":9})")->token, "t");
}

TEST(RegistryToken, Life) {
  EXPECT_EQ(life_of(""), 60s);
  EXPECT_EQ(life_of(R"(,"expires_in":300)"), 300s);
  EXPECT_EQ(life_of(R"(,"expires_in":1.5)"), 1500ms);
  EXPECT_EQ(life_of(R"(,"expires_in":"3600")"), 1h);
  for (const char* odd : {"0", "-5", "null", "\"\"", "\"soon\"", "[]", "{}", "true", "-1e300"})
    EXPECT_EQ(life_of(std::string(R"(,"expires_in":)") + odd), 60s) << odd;
  for (const char* much : {"1e300", "99999999999999999999", "9223372036854775807", "\"1e99\""})
    EXPECT_EQ(life_of(std::string(R"(,"expires_in":)") + much), std::chrono::hours(24 * 366))
        << much;
  EXPECT_EQ(life_of(R"(,"expires_in":1e-9)"), 1ms);
}

TEST(RegistryToken, OneThatWasMadeEarlierIsOverEarlier) {
  const std::string date = "Fri, 20 Nov 2026 06:00:00 GMT";
  auto life = [&](const std::string& issued) {
    return life_of(R"(,"expires_in":300,"issued_at":")" + issued + "\"", date);
  };
  EXPECT_EQ(life("2026-11-20T06:00:00Z"), 300s);
  EXPECT_EQ(life("2026-11-20T05:58:20Z"), 200s);
  EXPECT_EQ(life("2026-11-20T06:58:20+01:00"), 200s);
  EXPECT_EQ(life("2026-11-20T06:00:01.5Z"), 300s);  // Date has whole seconds
  EXPECT_EQ(life("2036-11-20T06:00:00Z"), 300s);
  EXPECT_EQ(life("2026-11-20T05:55:00Z"), 300s);  // it would be over now: who would send that?
  EXPECT_EQ(life("1970-01-01T00:00:00Z"), 300s);
  EXPECT_EQ(life("yesterday"), 300s);
  EXPECT_EQ(life_of(R"(,"expires_in":300,"issued_at":"2026-11-20T05:58:20Z")"), 300s);
}

TEST(RegistryToken, WhatIsNone) {
  for (const char* body :
       {"", "<html>s3cret</html>", "[]", "null", "\"s3cret\"", "{}", R"({"token":null})",
        R"({"token":7})", R"({"token":""})", R"({"token":"s3cret\r\nX-Other: 1"})",
        R"({"token":"s3cret s3cret"})", "{\"token\":\"s3cret\xc3\xa4\"}", R"({"token":"s3cret)"}) {
    auto token = token_of(body);
    ASSERT_FALSE(token) << body;
    EXPECT_EQ(token.error().kind, ErrorKind::kProtocol);
    EXPECT_NE(token.error().message.find("http://auth/token"), std::string::npos);
    EXPECT_EQ(token.error().message.find("s3cret"), std::string::npos) << token.error().message;
  }
  EXPECT_FALSE(token_of(R"({"token":")" + std::string(70'000, 'x') + "\"}"));
}

}  // namespace
}  // namespace imgcachefs
