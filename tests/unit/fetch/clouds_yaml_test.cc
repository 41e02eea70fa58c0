#include "fetch/clouds_yaml.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>

#include "support/log_capture.h"
#include "support/temp_dir.h"

namespace imgcachefs {
namespace {

constexpr char kLab[] = R"(# comments, and other services' keys
cache:
  expiration_time: 3600
clouds:
  lab-one:
    auth:
      auth_url: http://keystone:5000/v3
      username: demo
      password: "s3cret # all of it"
      project_name: lab
      user_domain_name: Corp
      project_domain_id: d1
    region_name: One
    interface: internalURL
    identity_api_version: 3
    compute_api_version: 2.1
    networks: [{name: x}]
)";

class CloudsYaml : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::string path = dir_.write(name, text);
    ::chmod(path.c_str(), mode);
    return path;
  }
  CloudPlaces places() const {
    CloudPlaces places;
    for (const char* end : {".yaml", ".yml", ".json"}) {
      places.clouds.push_back(dir_.file(std::string("clouds") + end));
      places.secure.push_back(dir_.file(std::string("secure") + end));
      places.vendors.push_back(dir_.file(std::string("clouds-public") + end));
    }
    places.home = "/home/jane";
    return places;
  }
  Cloud load(const std::string& name) {
    auto cloud = load_cloud(name, places());
    if (!cloud) throw std::runtime_error(cloud.error().message);
    return *cloud;
  }
  // Of the one cloud that these lines, indented by four, are.
  Cloud of(const std::string& lines) {
    write("clouds.yaml", "clouds:\n  c:\n" + lines);
    return load("c");
  }
  std::string refused(const std::string& lines) {
    write("clouds.yaml", "clouds:\n  c:\n" + lines);
    return refused_cloud("c");
  }
  std::string refused_cloud(const std::string& name) {
    auto cloud = load_cloud(name, places());
    EXPECT_FALSE(cloud);
    if (cloud) return "";
    EXPECT_EQ(cloud.error().kind, ErrorKind::kInvalid);
    EXPECT_EQ(cloud.error().message.find("s3cret"), std::string::npos) << cloud.error().message;
    return cloud.error().message;
  }
  test::TempDir dir_;
};

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(CloudsYaml, ACloudWithAPassword) {
  write("clouds.yaml", kLab);
  const Cloud cloud = load("lab-one");
  const std::map<std::string, std::string> expected = {{"auth_url", "http://keystone:5000/v3"},
                                                       {"username", "demo"},
                                                       {"password", "s3cret # all of it"},
                                                       {"project_name", "lab"},
                                                       {"project_id", ""},
                                                       {"user_domain_name", "Corp"},
                                                       {"user_domain_id", ""},
                                                       {"project_domain_id", "d1"},
                                                       {"project_domain_name", ""},
                                                       {"token", ""},
                                                       {"application_credential_id", ""}};
  for (const auto& [key, value] : expected) EXPECT_EQ(cloud.secrets.get(key), value) << key;
  EXPECT_EQ(cloud.region, "One");
  EXPECT_EQ(cloud.interface_, "internal");
  EXPECT_TRUE(cloud.verify);
  EXPECT_EQ(cloud.ca_file + cloud.cert + cloud.key + cloud.image_endpoint, "");
}

TEST_F(CloudsYaml, SecretsFromSecureYamlOnTop) {
  write("clouds.yaml", R"(
clouds:
  c:
    auth: {auth_url: http://k, username: demo, project-name: lab, password: old}
    region_name: One
)");
  write("secure.yaml", "clouds: {c: {auth: {password: s3cret}, region_name: Two}}");
  const Cloud cloud = load("c");
  EXPECT_EQ(cloud.secrets.get("username"), "demo");
  EXPECT_EQ(cloud.secrets.get("project_name"), "lab");
  EXPECT_EQ(cloud.secrets.get("password"), "s3cret");
  EXPECT_EQ(cloud.region, "Two");
}

TEST_F(CloudsYaml, Json) {
  write("clouds.json",
        R"({"clouds": {"c": {"auth": {"auth_url": "http://k", "username": "demo",
            "password": 1234, "project_id": "p1"}, "verify": false, "region_name": null}}})");
  const Cloud cloud = load("c");
  EXPECT_EQ(cloud.secrets.get("password"), "1234");
  EXPECT_EQ(cloud.secrets.get("project_id"), "p1");
  EXPECT_FALSE(cloud.verify);
}

TEST_F(CloudsYaml, TheFirstFileIsTheOne) {
  write("clouds.yml", "clouds: {c: {auth_type: none, region_name: yml}}");
  write("clouds.json", R"({"clouds": {"c": {"auth_type": "none", "region_name": "json"}}})");
  EXPECT_EQ(load("c").region, "yml");
  write("clouds.yaml", "clouds: {c: {auth_type: none, region_name: yaml}}");
  EXPECT_EQ(load("c").region, "yaml");
}

TEST_F(CloudsYaml, AliasesAndMergeKeys) {
  write("clouds.yaml", R"(
base: &base
  auth_url: http://k
  username: demo
  password: s3cret
other: &other {username: other, project_id: p1}
clouds:
  c:
    auth:
      <<: [*base, *other]
      password: better
)");
  const Cloud cloud = load("c");
  EXPECT_EQ(cloud.secrets.get("auth_url"), "http://k");
  EXPECT_EQ(cloud.secrets.get("username"), "demo");
  EXPECT_EQ(cloud.secrets.get("project_id"), "p1");
  EXPECT_EQ(cloud.secrets.get("password"), "better");
}

TEST_F(CloudsYaml, ApplicationCredentials) {
  Cloud cloud = of(R"(
    auth_type: v3applicationcredential
    auth:
      auth_url: http://k
      application_credential_id: a1
      application_credential_secret: s3cret
)");
  EXPECT_EQ(cloud.secrets.get("application_credential_id"), "a1");
  EXPECT_EQ(cloud.secrets.get("application_credential_secret"), "s3cret");
  cloud = of(R"(
    auth:
      auth_url: http://k
      username: demo
      user_domain_id: d1
      application_credential_name: robot
      application_credential_secret: s3cret
      password: of another method
      project_name: of another method
)");
  EXPECT_EQ(cloud.secrets.get("application_credential_name"), "robot");
  EXPECT_EQ(cloud.secrets.get("user_domain_id"), "d1");
  EXPECT_EQ(cloud.secrets.get("password"), "");
  EXPECT_EQ(cloud.secrets.get("project_name"), "");
}

TEST_F(CloudsYaml, TokensAndNone) {
  Cloud cloud = of(R"(
    auth_type: admin_token
    auth: {endpoint: "http://glance:9292/v2/", token: s3cret}
)");
  EXPECT_EQ(cloud.secrets.get("token"), "s3cret");
  EXPECT_EQ(cloud.image_endpoint, "http://glance:9292");
  cloud = of("    {auth: {token: s3cret}, image-endpoint-override: 'https://g/image'}\n");
  EXPECT_EQ(cloud.secrets.get("token"), "s3cret");
  EXPECT_EQ(cloud.image_endpoint, "https://g/image");
  cloud = of("    auth_type: none\n    image_endpoint_override: http://g\n");
  EXPECT_TRUE(cloud.secrets.empty());
  EXPECT_EQ(cloud.image_endpoint, "http://g");
}

TEST_F(CloudsYaml, Domains) {
  Cloud cloud =
      of("    auth: {auth_url: http://k, username: u, project_name: p, domain_name: Corp}\n");
  EXPECT_EQ(cloud.secrets.get("user_domain_name"), "Corp");
  EXPECT_EQ(cloud.secrets.get("project_domain_name"), "Corp");
  cloud =
      of("    default_domain: d1\n"
         "    auth: {auth_url: http://k, username: u, project_name: p, user_domain_name: Corp}\n");
  EXPECT_EQ(cloud.secrets.get("user_domain_name"), "Corp");
  EXPECT_EQ(cloud.secrets.get("user_domain_id"), "");
  EXPECT_EQ(cloud.secrets.get("project_domain_id"), "d1");
}

TEST_F(CloudsYaml, OlderNames) {
  const Cloud cloud = of(R"(
    auth: {auth_url: http://k, user-name: u, tenant_name: t, password: s3cret}
    endpoint_type: adminURL
    project_domain_name: Beside
)");
  EXPECT_EQ(cloud.secrets.get("username"), "u");
  EXPECT_EQ(cloud.secrets.get("project_name"), "t");
  EXPECT_EQ(cloud.secrets.get("project_domain_name"), "Beside");
  EXPECT_EQ(cloud.interface_, "admin");
}

TEST_F(CloudsYaml, RegionsAndTheirValues) {
  const char* regions = R"(
    auth: {auth_url: "https://iam.{region_name}.example", username: u, project_name: p}
    regions:
      - name: One
        values: {interface: internal, auth: {project_name: q}}
      - Two
)";
  Cloud cloud = of(regions);
  EXPECT_EQ(cloud.region, "One");
  EXPECT_EQ(cloud.interface_, "internal");
  EXPECT_EQ(cloud.secrets.get("project_name"), "q");
  EXPECT_EQ(cloud.secrets.get("auth_url"), "https://iam.One.example");
  cloud = of(std::string(regions) + "    region_name: Two\n");
  EXPECT_EQ(cloud.region, "Two");
  EXPECT_EQ(cloud.interface_, "");
  EXPECT_EQ(cloud.secrets.get("project_name"), "p");
  cloud = of("    {auth_type: none, region_name: One, image_region_name: Images}\n");
  EXPECT_EQ(cloud.region, "Images");
}

TEST_F(CloudsYaml, Tls) {
  Cloud cloud = of("    {auth_type: none, cacert: ~/ca.pem, cert: /c.pem, key: /k.pem}\n");
  EXPECT_TRUE(cloud.verify);
  EXPECT_EQ(cloud.ca_file, "/home/jane/ca.pem");
  EXPECT_EQ(cloud.cert, "/c.pem");
  EXPECT_EQ(cloud.key, "/k.pem");
  EXPECT_EQ(of("    {auth_type: none, cacert: ca.pem}\n").ca_file,
            (std::filesystem::current_path() / "ca.pem").string());
  EXPECT_FALSE(of("    {auth_type: none, verify: False}\n").verify);
  EXPECT_FALSE(of("    {auth_type: none, insecure: yes}\n").verify);
  EXPECT_TRUE(of("    {auth_type: none, verify: on, insecure: no}\n").verify);
  EXPECT_HAS(refused("    {auth_type: none, verify: maybe}\n"), "verify");
}

TEST_F(CloudsYaml, Profiles) {
  write("clouds-public.yaml", R"(
public-clouds:
  acme-cloud: {auth: {auth-url: http://acme, user_domain_name: Acme}, region_name: One}
  nested: {profile: acme-cloud}
)");
  const Cloud cloud = of(R"(
    profile: acme-cloud
    region_name: Two
    auth: {username: u, project_name: p, password: s3cret}
)");
  EXPECT_EQ(cloud.secrets.get("auth_url"), "http://acme");
  EXPECT_EQ(cloud.secrets.get("user_domain_name"), "Acme");
  EXPECT_EQ(cloud.secrets.get("username"), "u");
  EXPECT_EQ(cloud.region, "Two");
  EXPECT_HAS(refused("    profile: ovh\n"), "'ovh'");
  EXPECT_HAS(refused("    profile: nested\n"), "another profile");
}

TEST_F(CloudsYaml, WhatIsNotSupportedIsNamed) {
  EXPECT_HAS(refused("    identity_api_version: 2.0\n"), "v2");
  EXPECT_HAS(refused("    auth_type: v2password\n"), "v2");
  EXPECT_HAS(refused("    auth_type: v3oidcpassword\n"), "v3oidcpassword");
  EXPECT_HAS(refused("    auth_type: v3token\n"), "without a token");
  EXPECT_HAS(refused("    interface: [internal, public]\n"), "interface is not a text");
  EXPECT_HAS(refused("    image_endpoint_override: glance\n"), "image_endpoint_override");
}

TEST_F(CloudsYaml, UnknownCloudsAndFiles) {
  EXPECT_HAS(refused_cloud("c"), places().clouds[0]);
  const std::string clouds = write("clouds.yaml", "clouds: {lab-one: {auth: {password: s3cret}}}");
  const std::string secure = write("secure.yaml", "clouds: {lab-one: {}, lab-two: {}}");
  const std::string message = refused_cloud("lab");
  EXPECT_HAS(message, clouds + " and " + secure);
  EXPECT_HAS(message, "there are: lab-one, lab-two");
  EXPECT_HAS(message, "'lab'");
  write("clouds.yaml", "clouds:\n");
  EXPECT_HAS(refused_cloud("lab"), "'lab'");
}

TEST_F(CloudsYaml, BrokenFilesAreNamedAndNotQuoted) {
  for (const char* text :
       {"clouds: {c: {auth: {password: s3cret}}", "clouds:\n\t- s3cret", "- s3cret", "s3cret",
        "clouds: s3cret", "clouds: {c: s3cret}", "a: &a [*a, s3cret]", "clouds: {c: *s3cret}",
        "clouds: {c: {auth: {password: \"s3cret\xff\"}}}", "%s3cret\n---\n"}) {
    const std::string path = write("clouds.yaml", text);
    EXPECT_HAS(refused_cloud("c"), path);
  }
  std::filesystem::remove(dir_.file("clouds.yaml"));
  EXPECT_HAS(refused_cloud((write("clouds.json", "{\"clouds\": s3cret}"), "c")), "is no JSON");
}

TEST_F(CloudsYaml, BottomlessFilesAreRefused) {
  std::string bomb = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 60; ++i) {
    const std::string n = std::to_string(i), m = std::to_string(i - 1);
    bomb += "a" + n + ": &a" + n + " [*a" + m + ", *a" + m + "]\n";
  }
  const std::string deep(100'000, '['), deep_map = "clouds: " + std::string(100'000, '{');
  for (const std::string& text : {bomb, deep, deep_map, "clouds: " + std::string(200, '[')}) {
    write("clouds.yaml", text);
    refused_cloud("c");
  }
  write("clouds.yaml", std::string(5 << 20, ' '));
  EXPECT_HAS(refused_cloud("c"), "too large");
}

TEST_F(CloudsYaml, ASecretThatEverybodyCanReadIsWarnedOf) {
  auto logged = [&](const std::string& text, mode_t mode) {
    test::LogCapture log;
    write("clouds.yaml", text, mode);
    (void)load_cloud("lab-one", places());
    return log.text();
  };
  const std::string warning = logged(kLab, 0644);
  EXPECT_HAS(warning, "can be read by everybody");
  EXPECT_HAS(warning, dir_.file("clouds.yaml"));
  EXPECT_EQ(warning.find("s3cret"), std::string::npos) << warning;
  EXPECT_EQ(logged(kLab, 0640), "");
  EXPECT_EQ(logged("clouds: {lab-one: {auth: {username: u}}, x: {auth: {password: p}}}", 0644), "");
}

TEST_F(CloudsYaml, NoRegularFileIsLeftOut) {
  ASSERT_EQ(::mkfifo(dir_.file("clouds.yaml").c_str(), 0600), 0);
  ASSERT_EQ(::mkdir(dir_.file("clouds.yml").c_str(), 0700), 0);
  write("clouds.json", R"({"clouds": {"c": {"auth_type": "none"}}})");
  EXPECT_TRUE(load("c").secrets.empty());
}

TEST(CloudPlaces, AreThoseOfOpenstacksdk) {
  std::map<std::string, std::optional<std::string>> before;
  for (const auto& [name, value] :
       {std::pair("HOME", "/home/jane"), std::pair("XDG_CONFIG_HOME", ""),
        std::pair("OS_CLIENT_CONFIG_FILE", "/my/clouds"),
        std::pair("OS_CLIENT_SECURE_FILE", "/my/secrets")}) {
    const char* old = std::getenv(name);
    before[name] = old == nullptr ? std::nullopt : std::optional<std::string>(old);
    ::setenv(name, value, 1);
  }
  const CloudPlaces places = CloudPlaces::standard();
  ::setenv("XDG_CONFIG_HOME", "/xdg", 1);
  const CloudPlaces with_xdg = CloudPlaces::standard();
  for (const auto& [name, value] : before)
    value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());

  EXPECT_EQ(
      places.clouds,
      (std::vector<std::string>{
          "/my/clouds", "./clouds.yaml", "./clouds.yml", "./clouds.json",
          "/home/jane/.config/openstack/clouds.yaml", "/home/jane/.config/openstack/clouds.yml",
          "/home/jane/.config/openstack/clouds.json", "/etc/openstack/clouds.yaml",
          "/etc/openstack/clouds.yml", "/etc/openstack/clouds.json"}));
  EXPECT_EQ(places.secure[0], "/my/secrets");
  EXPECT_EQ(places.secure[1], "./secure.yaml");
  EXPECT_EQ(places.vendors[0], "./clouds-public.yaml");
  EXPECT_EQ(places.home, "/home/jane");
  EXPECT_EQ(with_xdg.clouds[4], "/xdg/openstack/clouds.yaml");
}

}  // namespace
}  // namespace imgcachefs
