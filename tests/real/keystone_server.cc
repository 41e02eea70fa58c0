#include "real/keystone_server.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "real/http_call.h"
#include "real/template_dir.h"
#include "support/process.h"

namespace imgcachefs::test {
namespace {

namespace fs = std::filesystem;

const std::string kSeed = IMGCACHEFS_REAL_DIR "/keystone_seed.py";
// What the seed says where an address belongs that is not known yet.
const std::string kIdentityPlace = "http://127.0.0.1:1", kImagePlace = "http://127.0.0.1:2";

std::string config(const std::string& dir, std::chrono::seconds token_ttl) {
  return fmt::format(R"([DEFAULT]
log_file = {0}/keystone.log
[database]
connection = sqlite:///{0}/keystone.sqlite
[fernet_tokens]
key_repository = {0}/fernet
[credential]
key_repository = {0}/cred
[token]
provider = fernet
expiration = {1}
allow_expired_window = 172800
[cache]
enabled = false
[identity]
password_hash_rounds = 4
)",
                     dir, token_ttl.count());
}

void checked(const CommandResult& result) {
  if (!result.ok()) throw std::runtime_error(result.describe());
}

fs::path seeded() {
  return template_dir(
      {.package = "keystone",
       .recipe = read_file(kSeed) + config("", std::chrono::seconds(0)),
       .make = [](const fs::path& dir) {
         const std::string conf = (dir / "seed.conf").string();
         std::FILE* file = std::fopen(conf.c_str(), "w");
         if (!file) throw std::runtime_error(conf);
         fmt::print(file, "{}", config(dir.string(), std::chrono::seconds(3600)));
         std::fclose(file);
         checked(run({"/usr/bin/python3", kSeed, dir.string(), kIdentityPlace, kImagePlace},
                     {.timeout = std::chrono::minutes(3),
                      .env = {{"OS_KEYSTONE_CONFIG_FILES", conf}},
                      .directory = {}}));
       }});
}

KeystoneUser user_of(const nlohmann::json& json) {
  return {json["name"], json["password"], json["project"], json["user_id"], json["project_id"]};
}

}  // namespace

KeystoneServer::KeystoneServer(KeystoneOptions options) : options_(options) {
  const fs::path from = seeded();
  for (const char* name : {"keystone.sqlite", "fernet", "cred"})
    fs::copy(from / name, dir_.path() / name, fs::copy_options::recursive);
  const auto seed = nlohmann::json::parse(read_file((from / "seed.json").string()));
  admin_ = user_of(seed["admin"]);
  service_ = user_of(seed["service"]);
  demo_ = user_of(seed["demo"]);
  const auto& credential = seed["application_credential"];
  credential_ = {credential["id"], credential["name"], credential["secret"]};
  dir_.write("keystone.conf", config(dir_.path().string(), options_.token_ttl));
  start_at_free_port([this, before = std::string(kIdentityPlace)](uint16_t port) mutable {
    port_ = port;
    sql(fmt::format("UPDATE endpoint SET url = replace(url, '{}/', '{}/')", before, url()));
    before = url();
    start();
  });
}

void KeystoneServer::start() {
  // uwsgi ends the connection after each answer. Unless it says so, who goes on with it at once (as
  // Glance's auth_token does, which then answers 401) can come between.
  server_.start(
      {.argv = {"uwsgi", "--plugins", "python3", "--http-socket",
                fmt::format("127.0.0.1:{}", port_), "--need-app", "--master", "--no-orphans",
                "--wsgi-file", "/usr/bin/keystone-wsgi-public", "--die-on-term", "--add-header",
                "Connection: close", "--buffer-size", "65535", "--pyargv", ""},
       .env = {{"OS_KEYSTONE_CONFIG_FILES", dir_.file("keystone.conf")}},
       .log = dir_.file("uwsgi.log"),
       .ready = [this] {
         return answers(port_) && http({.url = auth_url() + "/"}).status == 200;
       }});
}

std::string KeystoneServer::url() const {
  return fmt::format("http://127.0.0.1:{}", port_);
}

std::string KeystoneServer::token(const KeystoneUser& user) const {
  const nlohmann::json domain = {{"id", "default"}};
  const nlohmann::json body = {
      {"auth",
       {{"identity",
         {{"methods", {"password"}},
          {"password",
           {{"user", {{"name", user.name}, {"domain", domain}, {"password", user.password}}}}}}},
        {"scope", {{"project", {{"name", user.project}, {"domain", domain}}}}}}}};
  return http_ok({.method = "POST",
                  .url = auth_url() + "/auth/tokens",
                  .headers = {{"Content-Type", "application/json"}},
                  .body = body.dump()})
      .headers.at("x-subject-token");
}

void KeystoneServer::revoke(const std::string& token) const {
  http_ok({.method = "DELETE",
           .url = auth_url() + "/auth/tokens",
           .headers = {{"X-Auth-Token", this->token(admin_)}, {"X-Subject-Token", token}}});
}

void KeystoneServer::set_image_endpoint(const std::string& interface, const std::string& url) {
  sql(
      fmt::format("UPDATE endpoint SET url = '{}' WHERE interface = '{}' AND service_id = "
                  "(SELECT id FROM service WHERE type = 'image')",
                  url, interface));
}

void KeystoneServer::set_image_endpoints(const std::string& url) {
  for (const char* interface : {"public", "internal", "admin"}) set_image_endpoint(interface, url);
}

void KeystoneServer::sql(const std::string& statement) const {
  checked(run({"sqlite3", "-cmd", ".timeout 10000", dir_.file("keystone.sqlite"), statement}));
}

std::string KeystoneServer::log() const {
  return read_file(dir_.file("uwsgi.log")) + read_file(dir_.file("keystone.log"));
}

}  // namespace imgcachefs::test
