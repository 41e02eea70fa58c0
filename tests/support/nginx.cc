#include "support/nginx.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

namespace imgcachefs::test {
namespace {

std::string config(const std::string& dir, const std::string& root, uint16_t port,
                   const Certificate& certificate, const NginxOptions& options) {
  std::string server = options.server_config + "\n";
  if (!options.ranges) server += "max_ranges 0;\n";
  if (options.tls)
    server += fmt::format("ssl_certificate '{}';\nssl_certificate_key '{}';\n",
                          certificate.cert_file, certificate.key_file);
  if (!options.user.empty())
    server += fmt::format("auth_basic test;\nauth_basic_user_file '{}/htpasswd';\n", dir);
  if (!options.autoindex.empty())
    server += fmt::format("autoindex on;\nautoindex_format {};\n", options.autoindex);
  if (options.limit_rate > 0) server += fmt::format("limit_rate {};\n", options.limit_rate);
  return fmt::format(R"(daemon off;
master_process off;
pid '{0}/pid';
error_log '{0}/error.log';
events {{ worker_connections 1024; }}
http {{
  log_format test escape=json '{{"method":"$request_method","uri":"$request_uri","path":"$uri",'
                              '"range":"$http_range","status":$status,"sent":$body_bytes_sent}}';
  access_log '{0}/access.log' test;
  client_body_temp_path '{0}/body';
  proxy_temp_path '{0}/proxy';
  fastcgi_temp_path '{0}/fastcgi';
  uwsgi_temp_path '{0}/uwsgi';
  scgi_temp_path '{0}/scgi';
  default_type application/octet-stream;
  sendfile on;
  keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{1}{2};
    root '{3}';
    {4}
  }}
}}
)",
                     dir, port, options.tls ? " ssl" : "", root, server);
}

}  // namespace

Nginx::Nginx(const std::filesystem::path& root, NginxOptions options)
    : root_(root), options_(std::move(options)) {
  if (options_.tls) certificate_ = make_certificate(dir_, "nginx");
  if (!options_.user.empty())
    dir_.write("htpasswd", options_.user + ":{PLAIN}" + options_.password + "\n");
  start_at_free_port([this](uint16_t port) {
    port_ = port;
    start();
  });
}

void Nginx::start() {
  const std::string config_file = dir_.write(
      "nginx.conf", config(dir_.path().string(), root_.string(), port_, certificate_, options_));
  const std::string log = dir_.file("error.log");
  server_.start({.argv = {"nginx", "-e", log, "-c", config_file},
                 .env = {{"PATH", "/usr/sbin:/usr/local/sbin:/usr/bin:/bin"}},
                 .log = log,
                 .ready = [this] { return answers(port_); }});
}

std::string Nginx::url(const std::string& path) const {
  return fmt::format("{}://127.0.0.1:{}{}", options_.tls ? "https" : "http", port_, path);
}

std::vector<NginxRequest> Nginx::requests() const {
  std::vector<NginxRequest> found;
  std::istringstream lines(read_file(dir_.file("access.log")));
  for (std::string line; std::getline(lines, line);) {
    auto json = nlohmann::json::parse(line, nullptr, false);
    // The last line may be half written; a connection without a request has no method.
    if (json.is_discarded() || json["method"].get<std::string>().empty()) continue;
    found.push_back(
        {json["method"], json["uri"], json["path"], json["range"], json["status"], json["sent"]});
  }
  return found;
}

uint64_t Nginx::sent_bytes(const std::string& path) const {
  uint64_t sum = 0;
  for (const NginxRequest& request : requests())
    if (request.path == path) sum += request.sent;
  return sum;
}

}  // namespace imgcachefs::test
