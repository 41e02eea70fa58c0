// The real glance-api on loopback, for the life of the object, with all its state in a directory of
// its own: SQLite, a file store (and the http store for reading), one process.
//
//     GlanceServer glance;                                      // no authentication, no cache
//     GlanceServer glance({.auth = GlanceAuth::kFake});         // X-Auth-Token: user:project:role
//     GlanceServer glance({.keystone = &keystone});             // tokens of a KeystoneServer
//     GlanceServer glance({.cache_driver = "xattr"});           // with Glance's image cache
//     const std::string id = glance.create({.name = "debian-12", .bytes = bytes});
//     ... "glance+" + glance.url() ...
//     EXPECT_EQ(glance.requests_of(id).size(), 1u);
//
// What the methods do is done as an administrator, through the v2 API unless said otherwise; they
// throw std::runtime_error when Glance refuses. A start takes one to two seconds.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "real/http_call.h"
#include "real/keystone_server.h"
#include "support/child_server.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace imgcachefs::test {

enum class GlanceAuth {
  kNone,
  kFake,      // `user:project:role[,role]` is a token, anything else is 401
  kKeystone,  // implied by GlanceOptions::keystone
};

struct GlanceOptions {
  GlanceAuth auth = GlanceAuth::kNone;
  KeystoneServer* keystone = nullptr;  // outlives this; its catalogue will name this server
  // How long Glance believes what Keystone said of a token; 0: it asks each time, which is slow.
  std::chrono::seconds token_cache{300};
  // Glance's own image cache, and its management API; off when there is no driver.
  std::string cache_driver = {};  // "sqlite" or "xattr"
  std::string cache_dir = {};     // empty: one of its own
  uint64_t cache_max_size = 10ULL << 30;
  std::chrono::seconds cache_stall_time{86400};
  unsigned page = 25;         // images on a page of a listing that does not ask for a number
  std::string config = {};    // lines for [DEFAULT]
  std::string sections = {};  // further sections
};

struct NewImage {
  std::string name = {};
  std::string bytes = {};
  std::string file = {};               // a file with the bytes instead, for large ones
  std::optional<std::string> id = {};  // else Glance chooses
  std::string visibility = "public";
  std::string disk_format = "raw";
  bool hidden = false;
  bool upload = true;                                  // false: it stays queued
  std::map<std::string, std::string> properties = {};  // custom ones
};

struct GlanceRequest {
  std::string method, path, query, range;
  std::string token;  // the same for the same token; "" without one
  int status = 0;
  uint64_t sent = 0;  // bytes of the body
};

class GlanceServer {
 public:
  explicit GlanceServer(GlanceOptions options = {});

  uint16_t port() const { return port_; }
  std::string url() const;  // http://127.0.0.1:PORT
  std::string admin_token() const;

  std::string create(const NewImage& image);  // the ID; active, unless it is not uploaded
  // An active image whose data is at `location`, as the http store has it: no checksum, no ranges.
  // (Glance refuses loopback locations through its API: written to its database.)
  std::string create_at(const std::string& location, uint64_t size, const std::string& name = {});
  void upload(const std::string& id, const std::string& bytes);
  void deactivate(const std::string& id);
  void reactivate(const std::string& id);
  void remove(const std::string& id);
  // JSON patch "replace" (or "add") of one property: name, os_hidden, visibility ...
  void set(const std::string& id, const std::string& property, const nlohmann::json& value);
  nlohmann::json metadata(const std::string& id) const;
  HttpReply call(const std::string& method, const std::string& path,
                 std::map<std::string, std::string> headers = {}) const;  // path: "/v2/..."

  // The image's file in the store, to be truncated, harmed or removed.
  std::string store_file(const std::string& id) const { return dir_.file("images/" + id); }

  const std::string& cache_dir() const { return cache_dir_; }
  // glance-cache-cleaner, -pruner (of the package) and -prefetcher (with the one line that is
  // missing in Debian's) with this server's configuration.
  CommandResult cache_tool(const std::string& name) const;

  // Requests that are over, in the order they ended.
  std::vector<GlanceRequest> requests() const;
  std::vector<GlanceRequest> requests_of(const std::string& id) const;  // GET of its data
  uint64_t sent_bytes(const std::string& id) const;                     // of its data

  void stop() { server_.stop(); }
  void start();  // again, at the same port, with the same images
  std::string log() const;

 private:
  void write_config();
  void sql(const std::string& statement) const;

  GlanceOptions options_;
  TempDir dir_;
  std::string cache_dir_;
  uint16_t port_ = 0;
  ChildServer server_;
};

}  // namespace imgcachefs::test
