#include "fetch/registry_login_way.h"

#include <gtest/gtest.h>

namespace imgcachefs {
namespace {

using Strings = std::vector<std::string>;

Result<RegistryWay> way_of(const Strings& challenges) {
  HttpHead head;
  head.status = 401;
  head.url = "https://registry.example/v2/team/vm/blobs/x?_state=s3cret";
  for (const std::string& one : challenges) head.headers.emplace_back("www-authenticate", one);
  return RegistryWay::of(head);
}

// "basic", or "bearer realm|service|scope|error".
std::string shown(const Strings& challenges) {
  auto way = way_of(challenges);
  if (!way) return "error: " + way.error().message;
  if (way->scheme == RegistryWay::Scheme::kBasic) return "basic";
  return "bearer " + way->realm + "|" + way->service + "|" + way->scope + "|" + way->error;
}

TEST(RegistryWay, AsRegistriesSendIt) {
  EXPECT_EQ(shown({R"(Basic realm="basic-realm")"}), "basic");
  EXPECT_EQ(shown({R"(Bearer realm="https://auth.example/token",service="s",)"
                   R"(scope="repository:team/vm:pull",error="invalid_token")"}),
            "bearer https://auth.example/token|s|repository:team/vm:pull|invalid_token");
  EXPECT_EQ(shown({R"(Bearer realm="https://auth.example/token?tenant=7")"}),
            "bearer https://auth.example/token?tenant=7|||");
}

TEST(RegistryWay, ATokenIsBetterThanAPassword) {
  const std::string bearer = R"(Bearer realm="https://a/t",service="s")", basic = "Basic realm=x";
  for (const Strings& both : {Strings{bearer, basic}, Strings{basic, bearer},
                              Strings{basic + ", " + bearer}, Strings{"Negotiate", bearer}})
    EXPECT_EQ(shown(both), "bearer https://a/t|s||");
}

TEST(RegistryWay, ARealmThatIsNoTokenServer) {
  for (const char* realm : {"", "registry", "/token", "ftp://auth/token", "file:///etc/passwd",
                            "https://user:s3cret@auth/token", "https://", "http://a b/"}) {
    const std::string bearer = R"(Bearer realm=")" + std::string(realm) + R"(",service="s")";
    EXPECT_EQ(shown({bearer}), "bearer |s||") << realm;
    EXPECT_EQ(shown({bearer, "Basic realm=x"}), "basic");
    EXPECT_EQ(shown({bearer, "Bearer realm=\"http://b/\""}), "bearer http://b/|||");
  }
}

TEST(RegistryWay, WhatWeDoNotKnowIsNamed) {
  for (const Strings& none : {Strings{}, Strings{""}, Strings{"  ,,"}}) {
    EXPECT_EQ(way_of(none).error().kind, ErrorKind::kDenied);
    EXPECT_NE(shown(none).find("does not say how to log in"), std::string::npos);
  }
  const std::string error = shown({"Negotiate", R"(Digest realm="x", nonce="s3cret")"});
  EXPECT_NE(error.find("negotiate, digest"), std::string::npos) << error;
  EXPECT_NE(error.find("https://registry.example/v2/team/vm/blobs/x"), std::string::npos) << error;
  EXPECT_EQ(error.find("s3cret"), std::string::npos) << error;
}

TEST(RegistryWay, AnEndlessScopeIsNotSentOn) {
  EXPECT_EQ(shown({R"(Bearer realm="http://a/",scope=")" + std::string(5000, 'x') + "\""}),
            "bearer http://a/|||");
}

}  // namespace
}  // namespace imgcachefs
