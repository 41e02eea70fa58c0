// Which combinations of SOURCE, credentials, cloud and options work, what they mean, and what is
// said of the others.
#include "fetch/open_upstream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace imgcachefs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

using Keys = std::map<std::string, std::string>;

Credentials secrets(const Keys& keys) {
  Credentials secrets;
  for (const auto& [key, value] : keys) secrets.set(key, value);
  return secrets;
}

const Keys kPassword = {{"auth_url", "https://keystone:5000/v3"},
                        {"username", "u"},
                        {"password", "s3cret"},
                        {"project_name", "p"}};

Cloud cloud_of(const Keys& keys) {
  Cloud cloud;
  cloud.secrets = secrets(keys);
  return cloud;
}

// What the directory records, or the error.
std::string open(const std::string& source, const UpstreamConfig& config) {
  auto opened = open_upstream(Source::parse(source).value(), config);
  if (opened) return opened->record;
  EXPECT_EQ(opened.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(opened.error().message, Not(HasSubstr("s3cret")));
  return "refused: " + opened.error().message;
}

UpstreamConfig with(const Keys& keys) {
  UpstreamConfig config;
  config.secrets = secrets(keys);
  return config;
}

TEST(OpenUpstream, WhatADirectoryRecords) {
  EXPECT_EQ(open("http://host/dir", {}), "http://host/dir/");
  EXPECT_EQ(open("glance+http://host:9292/v2/", {}), "glance+http://host:9292/");
  EXPECT_EQ(open("glance+http://host:9292", with({{"token", "s3cret"}})),
            "glance+http://host:9292/");
  EXPECT_EQ(open("glance+http://host:9292", with(kPassword)), "glance+http://host:9292/");
  EXPECT_EQ(open("glance:", with(kPassword)), "glance:https://keystone:5000");
  EXPECT_EQ(open("glance:https://keystone:5000/", with(kPassword)), "glance:https://keystone:5000");
  UpstreamConfig config = with(kPassword);
  config.region = "north";  // which region is asked may change
  EXPECT_EQ(open("glance:", config), "glance:https://keystone:5000");
}

TEST(OpenUpstream, WhatARegistryRecords) {
  EXPECT_EQ(open("oci+http://host:5000", {}), "oci+http://host:5000/");
  EXPECT_EQ(open("oci+http://host:5000/", {}), "oci+http://host:5000/");
  EXPECT_EQ(open("oci+https://HOST:443", {}), "oci+https://host/");
  EXPECT_EQ(open("oci+http://host:80", {}), "oci+http://host/");
  EXPECT_EQ(open("oci+https://docker.io", {}), "oci+https://registry-1.docker.io/");
  EXPECT_EQ(open("oci+https://index.docker.io/", {}), "oci+https://registry-1.docker.io/");
  EXPECT_EQ(open("oci+https://host", with({{"username", "u"}, {"password", "s3cret"}})),
            "oci+https://host/");
  UpstreamConfig config;  // what is known of it, and what its tags mean, may change
  config.redis = "redis://127.0.0.1:6379/0";
  config.platform = "linux/arm64";
  EXPECT_EQ(open("oci+https://host", config), "oci+https://host/");
}

TEST(OpenUpstream, WhatARegistryCannotUseIsNamed) {
  UpstreamConfig config;
  config.platform = "linux-arm64";
  EXPECT_THAT(open("oci+https://host", config), HasSubstr("'linux-arm64'"));
  config.platform = "";
  config.redis = "http://u:s3cret@host";
  EXPECT_THAT(open("oci+https://host", config), HasSubstr("refused"));
  config.redis = "";
  config.region = "north";
  EXPECT_THAT(open("oci+https://host", config), HasSubstr("region= is for Glance"));
  config.region = "";
  config.cloud = cloud_of(kPassword);
  EXPECT_THAT(open("oci+https://host", config), HasSubstr("cloud="));
}

// A config file may be for mounts of all kinds.
TEST(OpenUpstream, WhatIsForRegistriesIsPassedOverElsewhereUnlessItIsWrong) {
  for (const std::string source : {"http://host/dir/", "glance+http://host"}) {
    UpstreamConfig config;
    config.platform = "linux/arm64";
    config.redis = "redis://127.0.0.1:6379/0";
    EXPECT_THAT(open(source, config), Not(HasSubstr("refused")));
    config.platform = "linux-arm64";
    EXPECT_THAT(open(source, config), HasSubstr("'linux-arm64'"));
    config.platform = "";
    config.redis = "http://u:s3cret@host";
    EXPECT_THAT(open(source, config), HasSubstr("refused"));
  }
}

TEST(OpenUpstream, ACloudSaysWhatOptionsDoNot) {
  UpstreamConfig config;
  config.cloud = cloud_of(kPassword);
  EXPECT_EQ(open("glance:", config), "glance:https://keystone:5000");
  EXPECT_EQ(open("glance+http://host", config), "glance+http://host/");
  config.cloud->image_endpoint = "http://elsewhere";
  EXPECT_EQ(open("glance:", config), "glance+http://elsewhere/");
}

TEST(OpenUpstream, WhatContradictsItselfIsRefused) {
  UpstreamConfig both = with(kPassword);
  both.cloud = cloud_of(kPassword);
  EXPECT_THAT(open("glance:", both), HasSubstr("give one"));
  EXPECT_THAT(open("http://host/", both), HasSubstr("cloud="));
  EXPECT_THAT(open("glance:", {}), HasSubstr("credentials=FILE or cloud=NAME"));
  EXPECT_THAT(open("glance:", with({{"token", "s3cret"}})), HasSubstr("credentials=FILE"));
  Keys mixed = kPassword;
  mixed["token"] = "s3cret";
  EXPECT_THAT(open("glance+http://host", with(mixed)), HasSubstr("both a token"));
  EXPECT_THAT(open("glance:http://other", with(kPassword)), HasSubstr("https://keystone:5000"));
  UpstreamConfig odd = with(kPassword);
  odd.interface_ = "secret";
  EXPECT_THAT(open("glance:", odd), HasSubstr("interface 'secret'"));
  for (const char* missing : {"username", "password", "project_name"}) {
    Keys some = kPassword;
    some.erase(missing);
    EXPECT_THAT(open("glance:", with(some)), HasSubstr(missing));
  }
}

TEST(OpenUpstream, APasswordInAnAuthUrlIsNotRepeated) {
  Keys keys = kPassword;
  keys["auth_url"] = "https://u:s3cret@keystone:5000/v3";
  EXPECT_THAT(open("glance:", with(keys)), HasSubstr("refused"));
  EXPECT_THAT(open("glance:http://other", with(keys)), HasSubstr("refused"));
}

}  // namespace
}  // namespace imgcachefs
