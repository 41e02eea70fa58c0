// Glance's records, right and hostile.
#include "fetch/glance_record.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace imgcachefs {
namespace {

using nlohmann::json;

const std::string kId = "89160bec-7a0d-4c6b-8f1f-0a5b0d2c7e11";
const std::string kMd5 = "305c26e2e3597251bb3aa9dd501bdbb2";
const std::string kSha512(128, 'c');

// As the real one sends it.
json record() {
  return {{"my_prop", "hello"},
          {"name", "img1"},
          {"disk_format", "raw"},
          {"container_format", "bare"},
          {"visibility", "public"},
          {"size", 1048576},
          {"virtual_size", 1048576},
          {"status", "active"},
          {"checksum", kMd5},
          {"protected", false},
          {"min_ram", 0},
          {"min_disk", 0},
          {"owner", nullptr},
          {"os_hidden", false},
          {"os_hash_algo", "sha512"},
          {"os_hash_value", kSha512},
          {"id", kId},
          {"created_at", "2026-11-20T04:41:20Z"},
          {"updated_at", "2026-11-20T04:41:21Z"},
          {"tags", json::array()},
          {"self", "/v2/images/" + kId},
          {"file", "/v2/images/" + kId + "/file"},
          {"schema", "/v2/schemas/image"}};
}

json with(const char* field, json value) {
  json changed = record();
  changed[field] = std::move(value);
  return changed;
}

Result<GlanceRecord> parse(const json& object) {
  return GlanceRecord::parse(object.dump());
}

ImageInfo info_of(const json& object) {
  return parse(object).value().info();
}

TEST(GlanceRecord, AnActiveImage) {
  auto got = parse(record());
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->id.str(), kId);
  EXPECT_EQ(got->name, "img1");
  EXPECT_EQ(got->status, "active");
  EXPECT_EQ(got->created, parse_rfc3339("2026-11-20T04:41:20Z"));
  const ImageInfo info = got->info();
  EXPECT_EQ(info.size, 1048576u);
  EXPECT_EQ(info.mtime, parse_rfc3339("2026-11-20T04:41:21Z"));
  EXPECT_EQ(info.ranges, RangeSupport::kUnknown);
  ASSERT_TRUE(info.digest);
  EXPECT_EQ(info.digest->tagged(), "sha512:" + kSha512);
  EXPECT_EQ(info.validator.etag, "md5:" + kMd5 + ",sha512:" + kSha512);
  EXPECT_EQ(info.validator.last_modified, "");
  EXPECT_EQ(md5_of(info.validator)->hex, kMd5);
}

TEST(GlanceRecord, AQueuedImageHasNeitherSizeNorSums) {
  json queued = with("status", "queued");
  for (const char* field :
       {"size", "virtual_size", "checksum", "os_hash_algo", "os_hash_value", "disk_format", "name"})
    queued[field] = nullptr;
  auto got = parse(queued);
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_FALSE(got->size);
  EXPECT_EQ(got->name, "");
}

TEST(GlanceRecord, AnyChangeOfAPropertyLeavesTheVersionWhatItIs) {
  EXPECT_EQ(info_of(record()).validator,
            info_of(with("updated_at", "2026-11-21T00:00:00Z")).validator);
  EXPECT_FALSE(info_of(record()).validator.same_version(
      info_of(with("checksum", std::string(32, '0'))).validator));
}

TEST(GlanceRecord, WithoutSumsTheTimeOfTheUpdateStandsIn) {
  json external = record();
  for (const char* field : {"checksum", "os_hash_algo", "os_hash_value"}) external[field] = nullptr;
  const ImageInfo info = info_of(external);
  EXPECT_FALSE(info.digest);
  EXPECT_EQ(info.validator.etag, "");
  EXPECT_EQ(info.validator.last_modified, "2026-11-20T04:41:21Z");
  EXPECT_FALSE(md5_of(info.validator));
}

TEST(GlanceRecord, WhichSumCounts) {
  json only_md5 = record();
  only_md5.erase("os_hash_algo");
  only_md5.erase("os_hash_value");
  EXPECT_EQ(info_of(only_md5).digest->tagged(), "md5:" + kMd5);
  EXPECT_EQ(info_of(only_md5).validator.etag, "md5:" + kMd5);

  json only_hash = with("checksum", nullptr);
  EXPECT_EQ(info_of(only_hash).digest->tagged(), "sha512:" + kSha512);
  EXPECT_EQ(info_of(only_hash).validator.etag, "sha512:" + kSha512);
  EXPECT_FALSE(md5_of(info_of(only_hash).validator));

  for (auto [algo, length] : {std::pair("sha256", 64), {"sha384", 96}, {"sha1", 40}}) {
    json other = with("os_hash_algo", algo);
    other["os_hash_value"] = std::string(static_cast<size_t>(length), 'A');
    EXPECT_EQ(info_of(other).digest->tagged(),
              fmt::format("{}:{}", algo, std::string(static_cast<size_t>(length), 'a')));
  }
  // One that we cannot compute is no digest, but tells versions apart.
  json unknown = with("os_hash_algo", "blake2b");
  EXPECT_EQ(info_of(unknown).digest->tagged(), "md5:" + kMd5);
  EXPECT_EQ(info_of(unknown).validator.etag, "md5:" + kMd5 + ",blake2b:" + kSha512);
}

TEST(GlanceRecord, IdsAreUuidsOfEitherCase) {
  for (const char* id :
       {"89160bec-7a0d-4c6b-8f1f-0a5b0d2c7e11", "89160BEC-7A0D-4C6B-8F1F-0A5B0D2C7E11",
        "00000000-0000-0000-0000-000000000000"})
    EXPECT_TRUE(is_glance_id(id)) << id;
  for (const char* id :
       {"", "89160bec7a0d4c6b8f1f0a5b0d2c7e11", "89160bec-7a0d-4c6b-8f1f-0a5b0d2c7e1",
        "89160bec-7a0d-4c6b-8f1f-0a5b0d2c7e111", "g9160bec-7a0d-4c6b-8f1f-0a5b0d2c7e11",
        "89160bec-7a0d-4c6b-8f1f0-a5b0d2c7e11", "{9160bec-7a0d-4c6b-8f1f-0a5b0d2c7e1}", "img1"})
    EXPECT_FALSE(is_glance_id(id)) << id;
  const std::string upper = "89160BEC-7A0D-4C6B-8F1F-0A5B0D2C7E11";
  EXPECT_EQ(parse(with("id", upper))->id.str(), upper);
}

TEST(GlanceRecord, NamesAreAnyText) {
  for (const std::string& name : {std::string("a/b\nc"), std::string("\0x", 2), std::string("ä€😀")})
    EXPECT_EQ(parse(with("name", name))->name, name);
}

TEST(GlanceRecord, FieldsOfAWrongTypeAreRefused) {
  for (auto [field, value] : {std::pair<const char*, json>("id", 7),
                              {"id", nullptr},
                              {"id", "../../etc/passwd"},
                              {"name", 7},
                              {"name", json::array()},
                              {"status", nullptr},
                              {"status", 7},
                              {"status", ""},
                              {"status", "active\nroot logged in"},
                              {"size", "1048576"},
                              {"size", -1},
                              {"size", 1.5},
                              {"size", true},
                              {"size", std::numeric_limits<uint64_t>::max()},
                              {"size", json::object()},
                              {"checksum", 7},
                              {"checksum", "short"},
                              {"checksum", std::string(32, 'g')},
                              {"os_hash_algo", nullptr},
                              {"os_hash_algo", "sha256"},  // of another length
                              {"os_hash_algo", "a b"},
                              {"os_hash_algo", std::string(100, 'a')},
                              {"os_hash_value", nullptr},
                              {"os_hash_value", "xyz"},
                              {"os_hash_value", json::array()},
                              {"created_at", 7},
                              {"created_at", "yesterday"},
                              {"updated_at", "2026-13-20T04:41:20Z"}}) {
    auto got = parse(with(field, value));
    ASSERT_FALSE(got) << field << ": " << value.dump();
    EXPECT_EQ(got.error().kind, ErrorKind::kProtocol);
    EXPECT_EQ(got.error().message.find('\n'), std::string::npos);
  }
}

TEST(GlanceRecord, TextThatIsNoRecordIsRefused) {
  std::string twice = record().dump();
  twice.insert(twice.size() - 1, ",\"size\":5");
  const std::string deep = std::string(5'000'000, '[');
  for (const std::string& text :
       {std::string(), std::string("<html>Please log in</html>"), std::string("{"),
        std::string("[]"), std::string("null"), std::string("7"), std::string("\"x\""),
        record().dump() + "x", record().dump().substr(0, 100), std::string("{\"id\":\"\xff\"}"),
        std::string("{\"size\":1e999}"), twice, deep, "{\"a\":" + deep, std::string("\0\0\0", 3)}) {
    auto got = GlanceRecord::parse(text);
    ASSERT_FALSE(got) << text.substr(0, 100);
    EXPECT_EQ(got.error().kind, ErrorKind::kProtocol) << text.substr(0, 100);
    auto page = GlancePage::parse(text);
    ASSERT_FALSE(page) << text.substr(0, 100);
    EXPECT_EQ(page.error().kind, ErrorKind::kProtocol) << text.substr(0, 100);
  }
}

TEST(GlanceRecord, BracketsInTextAreNotDepth) {
  EXPECT_TRUE(parse(with("my_prop", std::string(1000, '[') + "\\\"{{{")));
  EXPECT_TRUE(parse(with("locations", json::array({{{"url", "x"}, {"metadata", {{"a", "b"}}}}}))));
}

TEST(GlancePage, HasItsImagesAndTheNext) {
  const json body = {{"images", {record(), with("id", "not-a-uuid")}},
                     {"first", "/v2/images"},
                     {"next", "/v2/images?marker=x"}};
  auto page = GlancePage::parse(body.dump());
  ASSERT_TRUE(page) << page.error().message;
  ASSERT_EQ(page->images.size(), 1u);
  EXPECT_EQ(page->images[0].id.str(), kId);
  EXPECT_EQ(page->next, "/v2/images?marker=x");
  EXPECT_EQ(GlancePage::parse("{\"images\":[]}")->next, "");
}

TEST(GlancePage, OneOddRecordDoesNotHideTheOthers) {
  json odd = with("size", "x");
  odd["id"] = "11111111-2222-3333-4444-555555555555";
  auto page = GlancePage::parse(json{{"images", {odd, record()}}}.dump());
  ASSERT_TRUE(page) << page.error().message;
  ASSERT_EQ(page->images.size(), 1u);
  EXPECT_EQ(page->images[0].id.str(), kId);
}

TEST(GlancePage, HostileOnesAreRefused) {
  for (const std::string& body :
       {std::string(R"({"images":null})"), std::string(R"({"images":{}})"),
        std::string(R"({"images":[7]})"), std::string(R"({"images":[{}]})"),
        std::string(R"({"other":1})"), std::string(R"({"images":[],"next":7})")}) {
    auto page = GlancePage::parse(body);
    ASSERT_FALSE(page) << body;
    EXPECT_EQ(page.error().kind, ErrorKind::kProtocol);
  }
}

}  // namespace
}  // namespace imgcachefs
