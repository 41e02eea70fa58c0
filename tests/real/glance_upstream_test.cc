// The Glance upstream against the real glance-api: what the contract suite and the fake claim of
// it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "contract/upstream_fixture.h"
#include "real/glance_server.h"
#include "support/checksum.h"

namespace imgcachefs {
namespace {

using namespace test;
using ::testing::HasSubstr;

constexpr uint64_t kSize = 300'001;
constexpr ByteRange kWhole{0, kSize}, kPart{1000, 2000};

const std::string& bytes() {
  static const std::string text = pattern_string(11, 0, kSize);
  return text;
}

// Reads `range` of `id`, expects the right bytes; the requests it took.
unsigned expect_right(Upstream& upstream, const std::string& id, ByteRange range,
                      const std::string& of = bytes()) {
  return expect_read(upstream, stat_of(upstream, id), range, of);
}

// Silence is noticed soon.
HttpConfig impatient() {
  HttpConfig config = quick_config();
  config.low_speed_time = 1s;
  config.retries = 1;
  return config;
}

// Most tests have one server together: a start takes seconds. Its pages are short.
class RealGlance : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = std::make_unique<GlanceServer>(GlanceOptions{.config = "api_limit_max = 2"});
  }
  static void TearDownTestSuite() { server_.reset(); }
  GlanceServer& glance = *server_;

 private:
  static inline std::unique_ptr<GlanceServer> server_;
};

TEST_F(RealGlance, AnImageIsWhatItsRecordSays) {
  const std::string id = glance.create({.name = "disk", .bytes = bytes()});
  auto upstream = open_glance_at(glance.url());
  const ImageInfo image = stat_of(*upstream, id);
  EXPECT_EQ(image.size, kSize);
  EXPECT_EQ(image.digest->tagged(), "sha512:" + hex_digest(bytes(), DigestAlgo::kSha512));
  EXPECT_TRUE(image.mtime);
  EXPECT_EQ(upstream->digest(image, true, {}).value(), image.digest);
  EXPECT_EQ(expect_right(*upstream, id, kWhole), 1u);
  for (ByteRange range : {ByteRange{0, 1}, kPart, ByteRange{0, kSize - 1},
                          ByteRange{kSize - 10, kSize}, ByteRange{65'535, 131'073}})
    EXPECT_EQ(expect_right(*upstream, id, range), 1u);
  EXPECT_EQ(upstream->stats().errors, 0u);

  // A property is no part of the version.
  glance.set(id, "name", "renamed");
  EXPECT_TRUE(stat_of(*upstream, id).validator == image.validator);

  const std::string empty = glance.create({.name = "empty", .bytes = ""});
  EXPECT_EQ(stat_of(*upstream, empty).size, 0u);
  expect_right(*upstream, empty, {0, 0}, "");

  const std::string upper = "89160BEC-7A0D-4C6B-8F1F-0A5B0D2C7E11";
  glance.create({.name = "upper", .bytes = bytes(), .id = upper});
  expect_right(*upstream, upper, kPart);
  EXPECT_KIND(upstream->stat(id_of("89160bec-7a0d-4c6b-8f1f-0a5b0d2c7e11"), Patience::kFull, {}),
              ErrorKind::kNotFound);
}

TEST_F(RealGlance, ReadersMayBeManyAndMayLeave) {
  const std::string id = glance.create({.name = "disk", .bytes = bytes()});
  auto upstream = open_glance_at(glance.url());
  const ImageInfo image = stat_of(*upstream, id);
  StringSink enough;
  enough.enough = 1;
  EXPECT_KIND(upstream->read(image, kWhole, enough, {}), ErrorKind::kCancelled);
  std::stop_source stop;
  stop.request_stop();
  StringSink none;
  EXPECT_KIND(upstream->read(image, kWhole, none, stop.get_token()), ErrorKind::kCancelled);
  EXPECT_KIND(upstream->list(Patience::kFull, stop.get_token()), ErrorKind::kCancelled);
  std::atomic<int> right = 0;
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < 8; ++i)
      readers.emplace_back([&, i] {
        const ByteRange range = i % 2 == 0 ? kWhole : kPart;
        StringSink sink;
        if (upstream->read(image, range, sink, {}) &&
            sink.text == bytes().substr(range.begin, range.size()))
          ++right;
      });
  }
  EXPECT_EQ(right, 8);
}

TEST_F(RealGlance, WhatIsNotThereIsNotFound) {
  const std::string id = glance.create({.name = "disk", .bytes = bytes()});
  const std::string queued = glance.create({.name = "queued", .upload = false});
  auto upstream = open_glance_at(glance.url());
  ImageInfo image = stat_of(*upstream, id);
  EXPECT_KIND(upstream->stat(id_of(uuid_of("x")), Patience::kFull, {}), ErrorKind::kNotFound);
  EXPECT_KIND(upstream->stat(id_of("disk"), Patience::kFull, {}), ErrorKind::kNotFound);
  auto waiting = upstream->stat(id_of(queued), Patience::kFull, {});
  EXPECT_KIND(waiting, ErrorKind::kNotFound);
  EXPECT_THAT(waiting.error().message, HasSubstr("queued"));

  // As if it had been active: 204 to the whole. (A range of it is a 500, of Glance's own making.)
  ImageInfo was_there = image;
  was_there.id = id_of(queued);
  expect_read_error(*upstream, was_there, kWhole, ErrorKind::kNotFound);
  expect_read_error(*upstream, was_there, kPart, ErrorKind::kNoRanges);

  glance.remove(id);
  EXPECT_KIND(upstream->stat(id_of(id), Patience::kFull, {}), ErrorKind::kNotFound);
  expect_read_error(*upstream, image, kWhole, ErrorKind::kNotFound);
  expect_read_error(*upstream, image, kPart, ErrorKind::kNotFound);
}

TEST_F(RealGlance, AnotherVersionIsStale) {
  const std::string id = glance.create({.name = "disk", .bytes = bytes()});
  auto upstream = open_glance_at(glance.url());
  ImageInfo image = stat_of(*upstream, id);
  ImageInfo longer = image;
  longer.size = kSize + 1000;
  expect_read_error(*upstream, longer, {kSize + 10, kSize + 20}, ErrorKind::kStale);  // 416
  expect_read_error(*upstream, longer, {0, longer.size}, ErrorKind::kStale);
  image.validator.etag = "md5:" + std::string(32, '0');
  expect_read_error(*upstream, image, kWhole, ErrorKind::kStale);
  expect_read_error(*upstream, image, kPart, ErrorKind::kStale);
  EXPECT_KIND(upstream->digest(image, true, {}), ErrorKind::kStale);
}

TEST_F(RealGlance, AStoreThatLostTheDataIsUnavailable) {
  const std::string id = glance.create({.name = "disk", .bytes = bytes()});
  std::filesystem::remove(glance.store_file(id));
  auto upstream = open_glance_at(glance.url());
  const ImageInfo image = stat_of(*upstream, id);
  EXPECT_THAT(expect_read_error(*upstream, image, kWhole, ErrorKind::kUnavailable),
              HasSubstr("gone from Glance's store"));
  EXPECT_THAT(expect_read_error(*upstream, image, kPart, ErrorKind::kUnavailable),
              HasSubstr("gone from Glance's store"));
}

TEST_F(RealGlance, AShortStoreGoesSilentAndIsATimeout) {
  const std::string id = glance.create({.name = "disk", .bytes = bytes()});
  std::filesystem::resize_file(glance.store_file(id), 100'000);
  auto upstream = open_glance_at(glance.url(), "", impatient());
  StringSink sink;
  auto outcome = upstream->read(stat_of(*upstream, id), kWhole, sink, {});
  EXPECT_KIND(outcome, ErrorKind::kTimeout);
  EXPECT_TRUE(sink.text == bytes().substr(0, sink.text.size()));
  EXPECT_LE(sink.text.size(), 100'000u);
}

TEST_F(RealGlance, AnHttpStoreIsReadAsAWhole) {
  auto store = std::make_unique<FaultServer>();
  store->put("/disk", Content::of(bytes()));
  const std::string id = glance.create_at(store->url("/disk"), kSize, "external");
  const std::string plain = glance.create({.name = "disk", .bytes = bytes()});
  auto upstream = open_glance_at(glance.url());
  const ImageInfo image = stat_of(*upstream, id);
  EXPECT_FALSE(image.digest);
  EXPECT_NE(image.validator.last_modified, "");
  EXPECT_EQ(upstream->digest(image, true, {}).value(), std::nullopt);
  expect_read_error(*upstream, image, kPart, ErrorKind::kNoRanges);
  EXPECT_EQ(stat_of(*upstream, id).ranges, RangeSupport::kNo);
  EXPECT_EQ(expect_right(*upstream, id, kWhole), 1u);
  EXPECT_EQ(expect_right(*upstream, plain, kPart), 1u);

  store.reset();
  expect_read_error(*upstream, image, kWhole, ErrorKind::kUnavailable);
}

TEST(RealGlanceWithMore, WithItsOwnCache) {
  for (const char* driver : {"sqlite", "xattr"}) {
    GlanceServer glance({.cache_driver = driver});
    const std::string id = glance.create({.name = "disk", .bytes = bytes()});
    auto upstream = open_glance_at(glance.url());
    EXPECT_EQ(expect_right(*upstream, id, kWhole), 1u);  // chunked, without a length
    EXPECT_EQ(expect_right(*upstream, id, kWhole), 1u);  // from its cache
    EXPECT_EQ(expect_right(*upstream, id, kPart), 1u);
  }
}

TEST(RealGlanceWithMore, AShortStoreBehindItsCacheIsNoWholeImage) {
  GlanceServer glance({.cache_driver = "sqlite"});
  const std::string id = glance.create({.name = "disk", .bytes = bytes()});
  std::filesystem::resize_file(glance.store_file(id), 100'000);
  auto upstream = open_glance_at(glance.url(), "", impatient());
  StringSink sink;
  // The cut is resumed past the cache, where it is the store that is silent.
  EXPECT_KIND(upstream->read(stat_of(*upstream, id), kWhole, sink, {}), ErrorKind::kTimeout);
  EXPECT_TRUE(sink.text == bytes().substr(0, sink.text.size()));
}

TEST_F(RealGlance, ACorruptStoreIsNotNoticedByItAndHasTheDigestOfTheRecord) {
  const std::string id = glance.create({.name = "disk", .bytes = bytes()});
  std::fstream(glance.store_file(id), std::ios::in | std::ios::out).seekp(1000).put('!');
  auto upstream = open_glance_at(glance.url());
  const ImageInfo image = stat_of(*upstream, id);
  StringSink sink;
  ASSERT_TRUE(upstream->read(image, kWhole, sink, {}));
  EXPECT_NE(hex_digest(sink.text, DigestAlgo::kSha512), image.digest->hex);
  EXPECT_EQ(upstream->digest(image, true, {}).value(), image.digest);
}

TEST(RealGlanceWithMore, ADeactivatedImageIsDenied) {
  GlanceServer glance({.auth = GlanceAuth::kFake});
  const std::string id = glance.create({.name = "disk", .bytes = bytes()});
  auto upstream = open_glance_at(glance.url(), "demo:project:member");
  const ImageInfo image = stat_of(*upstream, id);
  expect_right(*upstream, id, kPart);
  glance.deactivate(id);
  EXPECT_KIND(upstream->stat(id_of(id), Patience::kFull, {}), ErrorKind::kDenied);
  for (ByteRange range : {kWhole, kPart})
    EXPECT_THAT(expect_read_error(*upstream, image, range, ErrorKind::kDenied),
                HasSubstr("deactivated"));
  EXPECT_TRUE(upstream->list(Patience::kFull, {})->empty());
  glance.reactivate(id);
  expect_right(*upstream, id, kWhole);
}

TEST(RealGlanceWithMore, TokensDecideWhatIsSeen) {
  GlanceServer glance({.auth = GlanceAuth::kFake});
  const std::string id =
      glance.create({.name = "private", .bytes = bytes(), .visibility = "private"});
  EXPECT_TRUE(
      open_glance_at(glance.url(), glance.admin_token())->stat(id_of(id), Patience::kFull, {}));
  EXPECT_KIND(
      open_glance_at(glance.url(), "demo:another:member")->stat(id_of(id), Patience::kFull, {}),
      ErrorKind::kNotFound);
  const ImageInfo image = stat_of(*open_glance_at(glance.url(), glance.admin_token()), id);
  for (const char* token : {"nonsense", ""}) {
    auto upstream = open_glance_at(glance.url(), token);
    EXPECT_KIND(upstream->stat(id_of(id), Patience::kFull, {}), ErrorKind::kDenied);
    EXPECT_KIND(upstream->list(Patience::kFull, {}), ErrorKind::kDenied);
    expect_read_error(*upstream, image, kWhole, ErrorKind::kDenied);
  }
}

TEST_F(RealGlance, AWrongBaseUrlIsSaidSo) {
  const std::string id = glance.create({.name = "disk", .bytes = bytes()});
  const ImageInfo image = stat_of(*open_glance_at(glance.url()), id);
  for (const char* wrong : {"/v1", "/images", "/v3"}) {
    auto upstream = open_glance_at(glance.url() + wrong);
    auto got = upstream->stat(id_of(id), Patience::kFull, {});
    EXPECT_KIND(got, ErrorKind::kProtocol);
    EXPECT_THAT(got.error().message, HasSubstr("is the URL of Glance right?"));
    EXPECT_THAT(expect_read_error(*upstream, image, kWhole, ErrorKind::kProtocol),
                HasSubstr("is the URL of Glance right?"));
    EXPECT_KIND(upstream->list(Patience::kFull, {}), ErrorKind::kProtocol);
  }
}

TEST_F(RealGlance, ListHasEveryActiveImageOfEveryPage) {
  std::vector<std::string> expected;
  for (int i = 0; i < 5; ++i)
    expected.push_back(glance.create({.name = "i" + std::to_string(i), .bytes = "some"}));
  const std::string queued = glance.create({.name = "queued", .upload = false});
  const std::string hidden = glance.create({.name = "hidden", .bytes = "x", .hidden = true});
  const std::string off = glance.create({.name = "off", .bytes = "x"});
  glance.deactivate(off);
  auto upstream = open_glance_at(glance.url());
  auto entries = upstream->list(Patience::kFull, {});
  ASSERT_TRUE(entries) << entries.error().message;
  std::vector<std::string> ids;
  for (const CatalogueEntry& entry : *entries) {
    ids.push_back(entry.id.str());
    EXPECT_TRUE(entry.created);
    EXPECT_EQ(entry.info->validator, stat_of(*upstream, entry.id.str()).validator);
  }
  EXPECT_THAT(ids, ::testing::IsSupersetOf(expected));
  for (const std::string& id : {queued, hidden, off})
    EXPECT_THAT(ids, ::testing::Not(::testing::Contains(id)));
}

TEST_F(RealGlance, NamesOfAllKindsAreFound) {
  auto upstream = open_glance_at(glance.url());
  for (const std::string& name :
       {std::string("debian-12"), std::string("ubuntu:22.04"), std::string("in:a,b"),
        std::string("eq:x"), std::string(":"), std::string("a,b"), std::string("\"quoted\""),
        std::string("\"half"), std::string("a&b=c#d?e/f+g %41"), std::string("ä€"),
        std::string("back\\slash\\"), std::string("2026-11-20T04:41:20Z"), std::string(" "),
        std::string(255, 'n')}) {
    const std::string id = glance.create({.name = name, .bytes = "x"});
    auto found = upstream->names()->find_named(name, Patience::kFull, {});
    ASSERT_TRUE(found) << name << ": " << found.error().message;
    EXPECT_EQ(found->id.str(), id) << name;
    EXPECT_EQ(found->name, name);
  }
  for (const char* name : {"Debian-12", "debian-1", "in:debian-12", "ubuntu"})
    EXPECT_KIND(upstream->names()->find_named(name, Patience::kFull, {}), ErrorKind::kNotFound);
}

TEST_F(RealGlance, TheNewestActiveImageOfANameIsFound) {
  auto upstream = open_glance_at(glance.url());
  // Glance's times are whole seconds.
  auto wait = [](const std::string& created) {
    while (rfc3339(std::chrono::system_clock::now()) <= created) std::this_thread::sleep_for(50ms);
  };
  const std::string old = glance.create({.name = "debian", .bytes = "1"});
  wait(glance.metadata(old)["created_at"]);
  const std::string now = glance.create({.name = "debian", .bytes = "22"});
  wait(glance.metadata(now)["created_at"]);
  const std::string off = glance.create({.name = "debian", .bytes = "333"});
  glance.deactivate(off);
  glance.create({.name = "debian", .upload = false});
  EXPECT_EQ(upstream->names()->find_named("debian", Patience::kFull, {})->id.str(), now);
  glance.reactivate(off);
  EXPECT_EQ(upstream->names()->find_named("debian", Patience::kFull, {})->id.str(), off);
  glance.remove(off);
  glance.remove(now);
  EXPECT_EQ(upstream->names()->find_named("debian", Patience::kFull, {})->id.str(), old);
}

TEST_F(RealGlance, AServerThatIsGoneAndComesBack) {
  const std::string id = glance.create({.name = "disk", .bytes = bytes()});
  auto upstream = open_glance_at(glance.url());
  const ImageInfo image = stat_of(*upstream, id);
  glance.stop();
  EXPECT_KIND(upstream->stat(id_of(id), Patience::kOneTry, {}), ErrorKind::kUnavailable);
  expect_read_error(*upstream, image, kWhole, ErrorKind::kUnavailable);
  EXPECT_KIND(upstream->list(Patience::kFull, {}), ErrorKind::kUnavailable);
  glance.start();
  expect_right(*upstream, id, kWhole);
}

}  // namespace
}  // namespace imgcachefs
