#include "real/glance_server.h"

#include <fmt/format.h>

#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "real/template_dir.h"
#include "support/process.h"

namespace imgcachefs::test {
namespace {

namespace fs = std::filesystem;

const std::string kRealDir = IMGCACHEFS_REAL_DIR;

// The context without authentication is an administrator's but has no roles.
constexpr const char* kOpenPolicy = R"("default": ""
"add_image": ""
"get_image": ""
"get_images": ""
"modify_image": ""
"delete_image": ""
"publicize_image": ""
"communitize_image": ""
"upload_image": ""
"download_image": ""
"deactivate": ""
"reactivate": ""
"manage_image_cache": ""
"cache_image": ""
"cache_list": ""
"cache_delete": ""
"get_image_location": ""
"set_image_location": ""
"delete_image_location": ""
)";

std::string paste(const std::string& dir, const GlanceOptions& options) {
  const std::string auth = options.auth == GlanceAuth::kKeystone ? "authtoken context"
                           : options.auth == GlanceAuth::kFake   ? "fakeauth context"
                                                                 : "unauthenticated-context";
  const std::string cache = options.cache_driver.empty() ? "" : "cache cachemanage ";
  return fmt::format(R"([pipeline:glance-api]
pipeline = recorder healthcheck versionnegotiation {1} {2}rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[filter:recorder]
paste.filter_factory = paste_filters:recorder
log = {0}/requests.log
[filter:fakeauth]
paste.filter_factory = paste_filters:fakeauth
[filter:healthcheck]
paste.filter_factory = oslo_middleware:Healthcheck.factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:cache]
paste.filter_factory = glance.api.middleware.cache:CacheFilter.factory
[filter:cachemanage]
paste.filter_factory = glance.api.middleware.cache_manage:CacheManageFilter.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:unauthenticated-context]
paste.filter_factory = glance.api.middleware.context:UnauthenticatedContextMiddleware.factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
)",
                     dir, auth, cache);
}

std::string authtoken(const KeystoneServer& keystone, std::chrono::seconds token_cache) {
  return fmt::format(R"([keystone_authtoken]
auth_url = {0}
www_authenticate_uri = {0}
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = {1}
username = {2}
password = {3}
token_cache_time = {4}
)",
                     keystone.url(), keystone.service().project, keystone.service().name,
                     keystone.service().password,
                     token_cache.count() > 0 ? token_cache.count() : -1);
}

void checked(const CommandResult& result) {
  if (!result.ok()) throw std::runtime_error(result.describe());
}

fs::path database() {
  return template_dir(
      {.package = "glance-common", .recipe = "db_sync", .make = [](const fs::path& dir) {
         const std::string conf = (dir / "glance.conf").string();
         checked(
             run({"bash", "-c",
                  "printf '[database]\\nconnection = sqlite:///%s/glance.sqlite\\n' \"$1\" >\"$2\" "
                  "&& exec /usr/bin/glance-manage --config-file \"$2\" db_sync",
                  "make", dir.string(), conf},
                 {.timeout = std::chrono::minutes(3), .env = {}, .directory = {}}));
       }});
}

}  // namespace

GlanceServer::GlanceServer(GlanceOptions options) : options_(std::move(options)) {
  if (options_.keystone) options_.auth = GlanceAuth::kKeystone;
  cache_dir_ = options_.cache_dir.empty() ? dir_.file("cache") : options_.cache_dir;
  for (const char* name : {"images", "staging", "lock", "policy.d"})
    fs::create_directory(dir_.path() / name);
  fs::copy(database() / "glance.sqlite", dir_.path() / "glance.sqlite");
  dir_.write("paste.ini", paste(dir_.path().string(), options_));
  if (options_.auth == GlanceAuth::kNone) dir_.write("policy.d/open.yaml", kOpenPolicy);
  start_at_free_port([this](uint16_t port) {
    port_ = port;
    write_config();
    start();
  });
  if (options_.keystone) options_.keystone->set_image_endpoints(url());
}

void GlanceServer::write_config() {
  std::string cache;
  if (!options_.cache_driver.empty())
    cache = fmt::format(
        "image_cache_dir = {}\nimage_cache_driver = {}\nimage_cache_max_size = {}\n"
        "image_cache_stall_time = {}\n",
        cache_dir_, options_.cache_driver, options_.cache_max_size,
        options_.cache_stall_time.count());
  dir_.write(
      "glance.conf",
      fmt::format(R"([DEFAULT]
bind_host = 127.0.0.1
bind_port = {1}
workers = 0
use_stderr = true
enabled_backends =
enabled_import_methods = []
node_staging_uri = file://{0}/staging
worker_self_reference_url = http://127.0.0.1:{1}
limit_param_default = {2}
{3}{4}
[oslo_policy]
policy_dirs = {0}/policy.d
enforce_scope = false
enforce_new_defaults = false
[database]
connection = sqlite:///{0}/glance.sqlite
[glance_store]
stores = file,http
default_store = file
filesystem_store_datadir = {0}/images
[oslo_concurrency]
lock_path = {0}/lock
[paste_deploy]
config_file = {0}/paste.ini
{5}{6}
)",
                  dir_.path().string(), port_, options_.page, cache, options_.config,
                  options_.keystone ? authtoken(*options_.keystone, options_.token_cache) : "",
                  options_.sections));
}

void GlanceServer::start() {
  server_.start({.argv = {"/usr/bin/glance-api", "--config-file", dir_.file("glance.conf")},
                 .env = {{"PYTHONPATH", kRealDir}, {"PYTHONDONTWRITEBYTECODE", "1"}},
                 .log = dir_.file("glance.log"),
                 .ready = [this] {
                   return answers(port_) && http({.url = url() + "/healthcheck"}).status == 200;
                 }});
}

std::string GlanceServer::url() const {
  return fmt::format("http://127.0.0.1:{}", port_);
}

std::string GlanceServer::admin_token() const {
  switch (options_.auth) {
    case GlanceAuth::kNone:
      return "";
    case GlanceAuth::kFake:
      return "admin:admin:admin,member,reader";
    case GlanceAuth::kKeystone:
      return options_.keystone->token(options_.keystone->admin());
  }
  return "";
}

HttpReply GlanceServer::call(const std::string& method, const std::string& path,
                             std::map<std::string, std::string> headers) const {
  if (!headers.contains("X-Auth-Token")) headers.emplace("X-Auth-Token", admin_token());
  return http({.method = method, .url = url() + path, .headers = std::move(headers)});
}

std::string GlanceServer::create(const NewImage& image) {
  nlohmann::json body = {{"disk_format", image.disk_format},
                         {"container_format", "bare"},
                         {"visibility", image.visibility},
                         {"os_hidden", image.hidden}};
  if (!image.name.empty()) body["name"] = image.name;
  if (image.id) body["id"] = *image.id;
  for (const auto& [name, value] : image.properties) body[name] = value;
  const std::string token = admin_token();
  const auto made =
      http_ok({.method = "POST",
               .url = url() + "/v2/images",
               .headers = {{"Content-Type", "application/json"}, {"X-Auth-Token", token}},
               .body = body.dump()});
  const std::string id = made.json()["id"];
  if (!image.upload) return id;
  if (image.file.empty())
    upload(id, image.bytes);
  else
    http_ok({.method = "PUT",
             .url = url() + "/v2/images/" + id + "/file",
             .headers = {{"Content-Type", "application/octet-stream"}, {"X-Auth-Token", token}},
             .upload_file = image.file});
  return id;
}

void GlanceServer::upload(const std::string& id, const std::string& bytes) {
  TempDir dir;
  http_ok(
      {.method = "PUT",
       .url = url() + "/v2/images/" + id + "/file",
       .headers = {{"Content-Type", "application/octet-stream"}, {"X-Auth-Token", admin_token()}},
       .upload_file = dir.write("bytes", bytes)});
}

std::string GlanceServer::create_at(const std::string& location, uint64_t size,
                                    const std::string& name) {
  const std::string id = create({.name = name, .upload = false});
  sql(fmt::format(
      "INSERT INTO image_locations (image_id, value, created_at, updated_at, deleted, meta_data, "
      "status) SELECT id, '{1}', created_at, updated_at, 0, '{{}}', 'active' FROM images "
      "WHERE id = '{0}'; UPDATE images SET status = 'active', size = {2} WHERE id = '{0}'",
      id, location, size));
  return id;
}

void GlanceServer::deactivate(const std::string& id) {
  http_ok({.method = "POST",
           .url = url() + "/v2/images/" + id + "/actions/deactivate",
           .headers = {{"X-Auth-Token", admin_token()}}});
}

void GlanceServer::reactivate(const std::string& id) {
  http_ok({.method = "POST",
           .url = url() + "/v2/images/" + id + "/actions/reactivate",
           .headers = {{"X-Auth-Token", admin_token()}}});
}

void GlanceServer::remove(const std::string& id) {
  http_ok({.method = "DELETE",
           .url = url() + "/v2/images/" + id,
           .headers = {{"X-Auth-Token", admin_token()}}});
}

void GlanceServer::set(const std::string& id, const std::string& property,
                       const nlohmann::json& value) {
  const nlohmann::json patch = {{{"op", "add"}, {"path", "/" + property}, {"value", value}}};
  http_ok({.method = "PATCH",
           .url = url() + "/v2/images/" + id,
           .headers = {{"Content-Type", "application/openstack-images-v2.1-json-patch"},
                       {"X-Auth-Token", admin_token()}},
           .body = patch.dump()});
}

nlohmann::json GlanceServer::metadata(const std::string& id) const {
  return http_ok({.url = url() + "/v2/images/" + id, .headers = {{"X-Auth-Token", admin_token()}}})
      .json();
}

CommandResult GlanceServer::cache_tool(const std::string& name) const {
  const std::string config = dir_.file("glance.conf");
  const RunOptions options{.timeout = std::chrono::minutes(2),
                           .env = {{"PYTHONDONTWRITEBYTECODE", "1"}},
                           .directory = {}};
  if (name != "glance-cache-prefetcher")
    return run({"/usr/bin/" + name, "--config-file", config}, options);
  // Debian's 25.1.0 dies of an assertion: nobody has told it its model of threads.
  return run({"/usr/bin/python3", "-c",
              "import sys; import glance.async_; glance.async_.set_threadpool_model('native')\n"
              "from glance.cmd.cache_prefetcher import main\nsys.exit(main())",
              "--config-file", config},
             options);
}

std::vector<GlanceRequest> GlanceServer::requests() const {
  std::vector<GlanceRequest> found;
  std::istringstream lines(read_file(dir_.file("requests.log")));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_discarded() || json["path"] == "/healthcheck") continue;  // half written; our own
    found.push_back({json["method"], json["path"], json["query"], json["range"], json["token"],
                     json["status"], json["sent"]});
  }
  return found;
}

std::vector<GlanceRequest> GlanceServer::requests_of(const std::string& id) const {
  std::vector<GlanceRequest> found;
  for (GlanceRequest& request : requests())
    if (request.method == "GET" && request.path == "/v2/images/" + id + "/file")
      found.push_back(std::move(request));
  return found;
}

uint64_t GlanceServer::sent_bytes(const std::string& id) const {
  uint64_t sum = 0;
  for (const GlanceRequest& request : requests_of(id)) sum += request.sent;
  return sum;
}

void GlanceServer::sql(const std::string& statement) const {
  checked(run({"sqlite3", "-cmd", ".timeout 10000", dir_.file("glance.sqlite"), statement}));
}

std::string GlanceServer::log() const {
  return read_file(dir_.file("glance.log"));
}

}  // namespace imgcachefs::test
