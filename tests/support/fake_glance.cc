#include "support/fake_glance.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <thread>
#include <vector>

#include "base/units.h"
#include "support/checksum.h"
#include "support/form.h"

namespace imgcachefs::test {
namespace {

using nlohmann::json;

constexpr std::string_view kRoot = "/v2/images";

Behaviour html(int status) {
  Behaviour behaviour = Behaviour::of_status(status);
  behaviour.body =
      fmt::format("<html><head><title>{}</title></head><body>...</body></html>", status);
  return behaviour;
}

Behaviour json_answer(const json& body, int status = 200) {
  Behaviour behaviour = Behaviour::of_status(status);
  behaviour.body = body.dump();
  return behaviour;
}

}  // namespace

std::string uuid_of(const std::string& text) {
  std::string id = hex_digest(text, DigestAlgo::kMd5);
  for (size_t at : {8, 13, 18, 23}) id.insert(at, "-");
  return id;
}

FakeGlance::FakeGlance(FaultServerOptions options) : server_(std::move(options)) {
  server_.on_request([this](const Request& request) { return answer(request); });
}

std::string FakeGlance::put(const FakeImage& image) {
  FakeImage kept = image;
  if (kept.id.empty()) kept.id = uuid_of(kept.name);
  const std::string path = fmt::format("{}/{}", kRoot, kept.id);
  const std::string md5 = hex_digest(image.bytes, DigestAlgo::kMd5);

  std::lock_guard lock(mutex_);
  auto old = images_.find(kept.id);
  const std::string created = old != images_.end()
                                  ? old->second.record["created_at"].get<std::string>()
                                  : rfc3339(from_unix(1'795'149'000 + 60.0 * ++created_));
  json record = {{"my_prop", "hello"},
                 {"name", kept.name.empty() ? json() : json(kept.name)},
                 {"disk_format", "raw"},
                 {"container_format", "bare"},
                 {"visibility", "public"},
                 {"size", image.bytes.size()},
                 {"virtual_size", image.bytes.size()},
                 {"status", "active"},
                 {"checksum", image.unknown_sum ? json() : json(md5)},
                 {"protected", false},
                 {"min_ram", 0},
                 {"min_disk", 0},
                 {"owner", nullptr},
                 {"os_hidden", false},
                 {"os_hash_algo", image.unknown_sum ? json() : json("sha512")},
                 {"os_hash_value",
                  image.unknown_sum ? json() : json(hex_digest(image.bytes, DigestAlgo::kSha512))},
                 {"id", kept.id},
                 {"created_at", created},
                 {"updated_at", created},
                 {"tags", json::array()},
                 {"self", path},
                 {"file", path + "/file"},
                 {"schema", "/v2/schemas/image"}};
  Content content = Content::of(image.bytes);
  content.etag = content.last_modified = "";
  if (!image.unknown_sum) content.headers = {{"Content-Md5", md5}};
  server_.put(path + "/file", std::move(content));
  const std::string id = kept.id;
  images_[id] = {std::move(kept), std::move(record)};
  return id;
}

void FakeGlance::remove(const std::string& id) {
  std::lock_guard lock(mutex_);
  images_.erase(id);
  server_.remove(fmt::format("{}/{}/file", kRoot, id));
}

void FakeGlance::edit(const std::string& id, const std::function<void(json&)>& change) {
  std::lock_guard lock(mutex_);
  change(images_.at(id).record);
}

void FakeGlance::tokens(std::set<std::string> good) {
  std::lock_guard lock(mutex_);
  tokens_ = std::move(good);
}

void FakeGlance::page(size_t most) {
  std::lock_guard lock(mutex_);
  page_ = most;
}

void FakeGlance::take_time(std::chrono::milliseconds time) {
  std::lock_guard lock(mutex_);
  time_ = time;
}

void FakeGlance::prefix(const std::string& path) {
  std::lock_guard lock(mutex_);
  prefix_ = path;
}

Behaviour FakeGlance::answer(const Request& request) {
  std::unique_lock lock(mutex_);
  if (const auto time = time_; time.count() > 0) {
    lock.unlock();
    std::this_thread::sleep_for(time);
    lock.lock();
  }
  std::string_view path = request.path;
  if (!path.starts_with(prefix_)) return html(404);
  path.remove_prefix(prefix_.size());
  if (!path.starts_with("/v2/")) {
    const std::string link = server_.url(prefix_ + "/v2/");
    return json_answer(
        {{"versions", {{{"id", "v2.15"}, {"status", "CURRENT"}, {"links", {{{"href", link}}}}}}}},
        300);
  }
  if (!tokens_.empty() && !tokens_.contains(request.header("x-auth-token"))) {
    Behaviour refused = html(401);
    refused.headers = {{"Www-Authenticate", "Keystone uri=\"http://127.0.0.1\""}};
    return refused;
  }
  if (request.method != "GET") return html(405);
  if (path == kRoot) {
    const size_t mark = request.target.find('?');
    return list(mark == std::string::npos ? "" : request.target.substr(mark + 1));
  }
  if (!path.starts_with(kRoot) || path[kRoot.size()] != '/') return html(404);
  path.remove_prefix(kRoot.size() + 1);
  constexpr std::string_view kFile = "/file";
  const bool data = path.ends_with(kFile);
  if (data) path.remove_suffix(kFile.size());
  auto found = images_.find(std::string(path));
  if (found == images_.end()) return html(404);
  return data ? send_data(found->second, request) : json_answer(found->second.record);
}

Behaviour FakeGlance::send_data(const Stored& stored, const Request& request) const {
  const std::string status = stored.record["status"].is_string() ? stored.record["status"] : "";
  if (status == "deactivated") return html(403);
  const bool ranged = !request.range().empty();
  if (status != "active" || stored.image.store == FakeStore::kLost)
    return Behaviour::of_status(204);
  Behaviour right{.no_accept_ranges = true, .chunked = stored.image.chunked && !ranged};
  if (!ranged) return right;
  if (stored.image.store == FakeStore::kNoRanges) return html(400);
  if (stored.image.store == FakeStore::kBreaking) return Behaviour::of_status(500);
  uint64_t first = 0;
  const std::string range = request.range();
  constexpr size_t kUnit = sizeof "bytes=" - 1;
  const bool good =
      range.size() > kUnit &&
      std::from_chars(range.data() + kUnit, range.data() + range.size(), first).ec == std::errc();
  return good && first < stored.image.bytes.size() ? right : html(416);
}

Behaviour FakeGlance::list(const std::string& query) const {
  std::map<std::string, std::string> asked;
  for (auto& [name, value] : form_fields(query)) asked[name] = std::move(value);
  std::string name = asked["name"];
  if (const size_t colon = name.find(':'); colon != std::string::npos) {
    if (name.substr(0, colon) != "eq") return html(400);  // "in" is not played here
    name.erase(0, colon + 1);
  }
  std::vector<const Stored*> images;
  for (const auto& [id, stored] : images_) {
    const json& record = stored.record;
    if (record.value("os_hidden", json()) == true) continue;
    if (asked.contains("status") && record["status"] != asked["status"]) continue;
    if (!asked["name"].empty() && record["name"] != name) continue;
    images.push_back(&stored);
  }
  std::sort(images.begin(), images.end(), [](const Stored* a, const Stored* b) {
    return std::pair(a->record["created_at"], a->image.id) >
           std::pair(b->record["created_at"], b->image.id);
  });
  if (auto marker = asked.find("marker"); marker != asked.end()) {
    auto at = std::find_if(images.begin(), images.end(),
                           [&](const Stored* s) { return s->image.id == marker->second; });
    if (at == images.end()) return html(400);
    images.erase(images.begin(), at + 1);
  }
  size_t limit = 25;
  if (const std::string& text = asked["limit"]; !text.empty())
    std::from_chars(text.data(), text.data() + text.size(), limit);
  limit = std::min(limit, page_);

  std::string rest;  // of the query, for the next page
  for (std::string_view left = query; !left.empty();) {
    const std::string_view one = left.substr(0, left.find('&'));
    left.remove_prefix(std::min(one.size() + 1, left.size()));
    if (!one.starts_with("marker=")) rest += fmt::format("{}&", one);
  }
  json page = {{"images", json::array()},
               {"first", fmt::format("{}?{}", kRoot, query)},
               {"schema", "/v2/schemas/images"}};
  for (size_t i = 0; i < std::min(limit, images.size()); ++i)
    page["images"].push_back(images[i]->record);
  if (limit > 0 && images.size() > limit)
    page["next"] = fmt::format("{}?{}marker={}", kRoot, rest, images[limit - 1]->image.id);
  return json_answer(page);
}

}  // namespace imgcachefs::test
