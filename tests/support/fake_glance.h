// A Glance made of a FaultServer: Image API v2 as the real one answers, trap by trap, and on top of
// it whatever FaultServer can do wrong.
//
//   FakeGlance glance;
//   const std::string id = glance.put({.name = "debian-12", .bytes = bytes});
//   glance.edit(id, [](nlohmann::json& record) { record["status"] = "deactivated"; });
//   glance.server().fault({.cut_after = 1000}, glance.data(id));
//
// What the real glance-api (25.1.0) was seen to do and this does as well: no ETag, Last-Modified or
// Accept-Ranges with the data; Content-MD5 of the whole image also with a part of it; 416 without
// Content-Range; 405 to HEAD; 204 for data that is not there; 400 to a range where the store knows
// none; 403 for the data of a deactivated image; 300 for any path without a version; 401 in HTML;
// pages of at most `page` images, `next` as a relative URL; an operator before the colon of a name.
// Every method may be called from any thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "support/fault_server.h"

namespace imgcachefs::test {

// A UUID that is always the same for the same text.
std::string uuid_of(const std::string& text);

enum class FakeStore {
  kFile,      // can do everything
  kNoRanges,  // 400 to a range, as the http store
  kBreaking,  // 500 to a range
  kLost,      // has lost the data: 204
};

struct FakeImage {
  std::string id = {};  // empty: uuid_of(name)
  std::string name = {};
  std::string bytes = {};
  FakeStore store = FakeStore::kFile;
  bool chunked = false;      // a whole GET has no length, as from Glance's cache on a miss
  bool unknown_sum = false;  // no checksum and no hash, as for an external location
};

class FakeGlance {
 public:
  explicit FakeGlance(FaultServerOptions options = {});

  FaultServer& server() { return server_; }
  std::string endpoint() const { return server_.url("") + prefix_; }
  static Match record(const std::string& id) { return {"GET", "/v2/images/" + id}; }
  static Match data(const std::string& id) { return {"GET", "/v2/images/" + id + "/file"}; }
  static Match listing() { return {"GET", "/v2/images"}; }

  // The ID. One that is there already is replaced, its times stay as they were.
  std::string put(const FakeImage& image);
  void remove(const std::string& id);
  // Changes the record that is sent; the data stays as it is.
  void edit(const std::string& id, const std::function<void(nlohmann::json&)>& change);

  // From now on one of these is wanted in X-Auth-Token; empty: none is.
  void tokens(std::set<std::string> good);
  void page(size_t most);                          // images on a page, whatever is asked for
  void take_time(std::chrono::milliseconds time);  // before each answer
  // As behind a proxy that shows Glance under a path, of which Glance knows nothing.
  void prefix(const std::string& path);

 private:
  struct Stored {
    FakeImage image;
    nlohmann::json record;
  };

  Behaviour answer(const Request& request);
  Behaviour list(const std::string& query) const;
  Behaviour send_data(const Stored& stored, const Request& request) const;

  mutable std::mutex mutex_;  // protects all below but server_
  std::map<std::string, Stored> images_;
  std::set<std::string> tokens_;
  size_t page_ = 1000;
  std::chrono::milliseconds time_{0};
  int created_ = 0;
  std::string prefix_;
  FaultServer server_;
};

}  // namespace imgcachefs::test
