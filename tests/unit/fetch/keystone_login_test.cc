#include "fetch/keystone_login.h"

#include <gtest/gtest.h>

#include <map>

namespace imgcachefs {
namespace {

using Keys = std::map<std::string, std::string>;

Credentials with(const Keys& keys) {
  Credentials secrets;
  for (const auto& [key, value] : keys) secrets.set(key, value);
  return secrets;
}

Keys by_password() {
  return {{"auth_url", "http://keystone:5000/v3"},
          {"username", "demo"},
          {"password", "s3cret"},
          {"project_name", "lab"}};
}

std::string body_of(const Keys& keys) {
  auto login = KeystoneLogin::of(with(keys));
  if (!login) return "error: " + login.error().message;
  EXPECT_EQ(login->who.find("s3cret"), std::string::npos) << login->who;
  return login->body;
}

// The message of kInvalid, in which there is no secret.
std::string refused(const Keys& keys) {
  auto login = KeystoneLogin::of(with(keys));
  EXPECT_FALSE(login);
  if (login) return "";
  EXPECT_EQ(login.error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(login.error().message.find("s3cret"), std::string::npos) << login.error().message;
  return login.error().message;
}

TEST(KeystoneLogin, Password) {
  EXPECT_EQ(body_of(by_password()),
            R"({"auth":{"identity":{"methods":["password"],"password":{"user":{)"
            R"("domain":{"id":"default"},"name":"demo","password":"s3cret"}}},)"
            R"("scope":{"project":{"domain":{"id":"default"},"name":"lab"}}}})");
}

TEST(KeystoneLogin, PasswordWithDomainsByName) {
  Keys keys = by_password();
  keys["user_domain_name"] = "Corp \"A\"";
  keys["project_domain_name"] = "Labs";
  EXPECT_EQ(body_of(keys), R"({"auth":{"identity":{"methods":["password"],"password":{"user":{)"
                           R"("domain":{"name":"Corp \"A\""},"name":"demo","password":"s3cret"}}},)"
                           R"("scope":{"project":{"domain":{"name":"Labs"},"name":"lab"}}}})");
}

TEST(KeystoneLogin, PasswordById) {
  Keys keys = by_password();
  keys["user_id"] = "u1";
  keys["project_id"] = "p1";  // IDs say it all: no name, no domain beside them
  keys["user_domain_id"] = "d1";
  EXPECT_EQ(body_of(keys), R"({"auth":{"identity":{"methods":["password"],"password":{"user":{)"
                           R"("id":"u1","password":"s3cret"}}},"scope":{"project":{"id":"p1"}}}})");
}

TEST(KeystoneLogin, DomainIdsComeBeforeNames) {
  Keys keys = by_password();
  keys["user_domain_id"] = "d1";
  keys["user_domain_name"] = "other";
  EXPECT_NE(body_of(keys).find(R"("domain":{"id":"d1"},"name":"demo")"), std::string::npos);
}

TEST(KeystoneLogin, ApplicationCredentialById) {
  EXPECT_EQ(body_of({{"auth_url", "http://keystone:5000"},
                     {"application_credential_id", "a1"},
                     {"application_credential_secret", "s3cret"},
                     {"project_name", "ignored: it has one of its own"}}),
            R"({"auth":{"identity":{"application_credential":{"id":"a1","secret":"s3cret"},)"
            R"("methods":["application_credential"]}}})");
}

TEST(KeystoneLogin, ApplicationCredentialByName) {
  EXPECT_EQ(body_of({{"auth_url", "http://keystone:5000"},
                     {"application_credential_name", "robot"},
                     {"application_credential_secret", "s3cret"},
                     {"username", "demo"},
                     {"user_domain_name", "Corp"}}),
            R"({"auth":{"identity":{"application_credential":{"name":"robot","secret":"s3cret",)"
            R"("user":{"domain":{"name":"Corp"},"name":"demo"}},)"
            R"("methods":["application_credential"]}}})");
}

TEST(KeystoneLogin, TokensUrl) {
  for (const char* auth_url :
       {"http://keystone:5000", "http://keystone:5000/", "http://keystone:5000/v3",
        "http://keystone:5000/v3/", "http://keystone:5000//v3//"}) {
    Keys keys = by_password();
    keys["auth_url"] = auth_url;
    auto login = KeystoneLogin::of(with(keys));
    ASSERT_TRUE(login) << auth_url;
    EXPECT_EQ(login->url, "http://keystone:5000/v3/auth/tokens") << auth_url;
  }
  Keys keys = by_password();
  keys["auth_url"] = "https://cloud/identity/v3";
  EXPECT_EQ(KeystoneLogin::of(with(keys))->url, "https://cloud/identity/v3/auth/tokens");
}

TEST(KeystoneLogin, BadUrlsAreNamed) {
  for (const char* auth_url : {"keystone:5000", "ftp://keystone", "http://a:s3cret@keystone",
                               "http://keystone/?x=s3cret", "http://keystone:5000/v2.0/"}) {
    Keys keys = by_password();
    keys["auth_url"] = auth_url;
    EXPECT_NE(refused(keys).find("auth_url"), std::string::npos) << auth_url;
  }
}

TEST(KeystoneLogin, TheMissingKeyIsNamed) {
  for (const char* key : {"auth_url", "username", "password", "project_name"}) {
    Keys keys = by_password();
    keys.erase(key);
    EXPECT_NE(refused(keys).find(key), std::string::npos) << key;
  }
  const Keys credential = {{"auth_url", "http://keystone"},
                           {"application_credential_name", "robot"},
                           {"application_credential_secret", "s3cret"},
                           {"username", "demo"}};
  for (const auto& [key, value] : credential) {
    Keys keys = credential;
    keys.erase(key);
    EXPECT_NE(refused(keys).find(key), std::string::npos) << key;
  }
}

TEST(KeystoneLogin, WhatCannotWork) {
  Keys both = by_password();
  both["application_credential_id"] = "a1";
  both["application_credential_secret"] = "s3cret";
  EXPECT_NE(refused(both).find("both"), std::string::npos);
  Keys token = by_password();
  token["token"] = "s3cret";
  EXPECT_NE(refused(token).find("token"), std::string::npos);
  Keys latin1 = by_password();
  latin1["password"] = "s3cret\xe9";
  EXPECT_NE(refused(latin1).find("password is not UTF-8"), std::string::npos);
}

}  // namespace
}  // namespace imgcachefs
