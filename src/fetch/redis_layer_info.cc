#include "fetch/redis_layer_info.h"

#include <algorithm>
#include <charconv>

namespace imgcachefs {
namespace {

constexpr uint64_t kLongest = 1ULL << 62;  // a length beyond is somebody's mistake
constexpr size_t kLongestPath = 4096;
constexpr const char* kMediaType = "application/octet-stream";

std::string blob_key(const Digest& blob) {
  return "blobs::" + blob.tagged();
}
std::string members_key(const std::string& repository) {
  return "repository::" + repository + "::blobs";
}
std::string member_key(const std::string& repository, const Digest& blob) {
  return members_key(repository) + "::" + blob.tagged();
}

std::optional<uint64_t> length_of(const std::string& text) {
  uint64_t length = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size() || length > kLongest)
    return std::nullopt;
  return length;
}

bool may_be_path(const std::string& text) {
  return text.size() <= kLongestPath &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < ' '; });
}

// The registry keeps what it has under a digest of one algorithm under that of another too: only
// within one do two digests contradict each other.
bool contradicts(const std::string& text, const Digest& blob) {
  auto digest = Digest::parse_tagged(text);
  return !digest || (digest->algo == blob.algo && *digest != blob);
}

// What HMGET digest size path length has found.
std::optional<LayerInfo> info_of(const RedisReply& reply, const Digest& blob) {
  using Kind = RedisReply::Kind;
  if (reply.kind != Kind::kArray || reply.elements.size() != 4) return std::nullopt;
  for (const RedisReply& field : reply.elements)
    if (field.kind != Kind::kText && field.kind != Kind::kNil) return std::nullopt;
  const RedisReply &digest = reply.elements[0], &size = reply.elements[1],
                   &path = reply.elements[2], &length = reply.elements[3];
  if (digest.kind == Kind::kText && contradicts(digest.text, blob)) return std::nullopt;
  std::optional<uint64_t> found;
  for (const RedisReply* field : {&length, &size}) {
    if (field->kind == Kind::kNil) continue;
    const auto bytes = length_of(field->text);
    if (!bytes || (found && *found != *bytes)) return std::nullopt;
    found = bytes;
  }
  if (!found || !may_be_path(path.text)) return std::nullopt;
  return LayerInfo{path.text, *found};
}

class RedisMembership final : public LayerMembership {
 public:
  explicit RedisMembership(std::shared_ptr<RedisPool> pool) : pool_(std::move(pool)) {}

  bool contains(const std::string& repository, const Digest& blob) override {
    auto replies =
        pool_->run(RedisUse::kRead, {{"SISMEMBER", members_key(repository), blob.tagged()}});
    return replies && replies->front().kind == RedisReply::Kind::kInteger &&
           replies->front().integer == 1;
  }

  void add(const std::string& repository, const Digest& blob) override {
    // The registry takes a member without its media type for none.
    (void)pool_->run(RedisUse::kAdd,
                     {{"SADD", members_key(repository), blob.tagged()},
                      {"HSETNX", member_key(repository, blob), "mediatype", kMediaType}});
  }

  void remove(const std::string& repository, const Digest& blob) override {
    (void)pool_->run(RedisUse::kRemove, {{"SREM", members_key(repository), blob.tagged()},
                                         {"DEL", member_key(repository, blob)}});
  }

 private:
  const std::shared_ptr<RedisPool> pool_;
};

class RedisInfos final : public LayerInfos {
 public:
  explicit RedisInfos(std::shared_ptr<RedisPool> pool) : pool_(std::move(pool)) {}

  std::optional<LayerInfo> get(const Digest& blob) override {
    auto replies = pool_->run(RedisUse::kRead,
                              {{"HMGET", blob_key(blob), "digest", "size", "path", "length"}});
    return replies ? info_of(replies->front(), blob) : std::nullopt;
  }

  void set(const Digest& blob, const LayerInfo& info) override {
    if (info.length > kLongest || !may_be_path(info.path)) return;
    const std::string length = std::to_string(info.length);
    RedisCommand fields = {"HMSET", blob_key(blob), "digest", blob.tagged(),
                           "size",  length,         "length", length};
    // Where it was found may be known by somebody else.
    if (!info.path.empty()) fields.insert(fields.end(), {"path", info.path});
    (void)pool_->run(RedisUse::kAdd, {fields, {"HSETNX", blob_key(blob), "mediatype", kMediaType}});
  }

  void remove(const Digest& blob) override {
    (void)pool_->run(RedisUse::kRemove, {{"DEL", blob_key(blob)}});
  }

 private:
  const std::shared_ptr<RedisPool> pool_;
};

}  // namespace

Result<LayerInfoCache> open_redis_layer_info(const std::string& url, RedisPatience patience) {
  auto place = RedisUrl::parse(url);
  if (!place) return fail(place.error());
  auto pool = std::make_shared<RedisPool>(std::move(*place), patience);
  return LayerInfoCache{std::make_shared<RedisMembership>(pool),
                        std::make_shared<RedisInfos>(pool)};
}

}  // namespace imgcachefs
