// Glance, row by row of what the real one was measured to do, and what hostile ones could.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "contract/upstream_fixture.h"
#include "support/checksum.h"

namespace imgcachefs {
namespace {

using namespace test;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

class GlanceUpstream : public ::testing::Test {
 protected:
  void SetUp() override { id_ = glance_.put({.name = "image", .bytes = bytes_}); }

  Upstream& open(HttpConfig config = quick_config(), const std::string& token = "") {
    upstream_ = open_glance_at(glance_.endpoint(), token, config);
    return *upstream_;
  }
  ImageInfo info() { return stat_of(*upstream_, id_); }
  auto stat() { return upstream_->stat(id_of(id_), Patience::kFull, {}); }
  void put(FakeImage image) {
    image.name = "image";
    image.bytes = bytes_;
    glance_.put(image);
  }
  void set(const char* field, const json& value) {
    glance_.edit(id_, [&](json& record) { record[field] = value; });
  }
  // Reads `range`, expects the right bytes.
  unsigned expect_right(ByteRange range) { return expect_read(*upstream_, info(), range, bytes_); }
  // Reads `range` of `image`, expects the error and no bytes; its message.
  std::string expect_error(const ImageInfo& image, ByteRange range, ErrorKind kind) {
    const std::string message = expect_read_error(*upstream_, image, range, kind);
    EXPECT_THAT(message, Not(HasSubstr("<")));  // nothing of an HTML body
    return message;
  }
  void answer_record(const std::string& body) {
    Behaviour lie = Behaviour::of_status(200);
    lie.body = body;
    glance_.server().fault(lie, FakeGlance::record(id_));
  }
  std::vector<std::string> listed() {
    auto entries = upstream_->list(Patience::kFull, {});
    EXPECT_TRUE(entries) << entries.error().message;
    std::vector<std::string> ids;
    if (entries)
      for (const CatalogueEntry& entry : *entries) ids.push_back(entry.id.str());
    return ids;
  }

  static constexpr uint64_t kSize = 300'001;
  static constexpr ByteRange kWhole{0, kSize}, kPart{1000, 2000};
  const std::string bytes_ = pattern_string(5, 0, kSize);
  std::string id_;
  FakeGlance glance_;
  FaultServer& server_ = glance_.server();
  std::unique_ptr<Upstream> upstream_;
};

// The rows of the image's record.

TEST_F(GlanceUpstream, AnActiveImage) {
  open();
  const ImageInfo image = info();
  EXPECT_EQ(image.size, kSize);
  EXPECT_EQ(image.digest->tagged(), "sha512:" + hex_digest(bytes_, DigestAlgo::kSha512));
  EXPECT_EQ(image.validator.etag, "md5:" + hex_digest(bytes_, DigestAlgo::kMd5) +
                                      ",sha512:" + hex_digest(bytes_, DigestAlgo::kSha512));
  EXPECT_EQ(upstream_->digest(image, true, {}).value(), image.digest);
  EXPECT_EQ(server_.count(FakeGlance::record(id_)), 2u);
}

TEST_F(GlanceUpstream, AnImageInAnyOtherStateIsNotFound) {
  open();
  for (const char* status : {"queued", "saving", "uploading", "importing", "killed", "deleted",
                             "pending_delete", "a_state_to_come"}) {
    set("status", status);
    auto got = stat();
    EXPECT_KIND(got, ErrorKind::kNotFound);
    EXPECT_THAT(got.error().message, HasSubstr(status));
  }
  EXPECT_EQ(upstream_->stats().errors, 0u);
}

TEST_F(GlanceUpstream, ADeactivatedImageIsDenied) {
  open();
  const ImageInfo image = info();
  set("status", "deactivated");
  auto got = stat();
  EXPECT_KIND(got, ErrorKind::kDenied);
  EXPECT_THAT(got.error().message, HasSubstr("deactivated"));
  for (ByteRange range : {kWhole, kPart})
    EXPECT_THAT(expect_error(image, range, ErrorKind::kDenied), HasSubstr("deactivated"));
  EXPECT_KIND(upstream_->digest(image, true, {}), ErrorKind::kDenied);
  set("status", "active");
  expect_right(kWhole);
}

TEST_F(GlanceUpstream, AnActiveImageWithoutASizeIsAProtocolError) {
  open();
  set("size", nullptr);
  EXPECT_KIND(stat(), ErrorKind::kProtocol);
  glance_.put({.name = "other", .bytes = "x"});
  EXPECT_THAT(listed(), ::testing::ElementsAre(uuid_of("other")));  // the others are still there
}

TEST_F(GlanceUpstream, AHiddenImageCanBeLookedUpAndIsNotListed) {
  open();
  set("os_hidden", true);
  EXPECT_TRUE(stat());
  EXPECT_TRUE(listed().empty());
}

TEST_F(GlanceUpstream, WhatIsNoUuidIsNotFoundWithoutAsking) {
  open();
  for (const char* id : {"image", "89160bec7a0d4c6b8f1f0a5b0d2c7e11", "..%2f", "debian.qcow2"})
    EXPECT_KIND(upstream_->stat(id_of(id), Patience::kFull, {}), ErrorKind::kNotFound);
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(GlanceUpstream, TheCaseOfAnIdCounts) {
  open();
  const std::string upper = "89160BEC-7A0D-4C6B-8F1F-0A5B0D2C7E11";
  glance_.put({.id = upper, .name = "upper", .bytes = "x"});
  EXPECT_EQ(stat_of(*upstream_, upper).id.str(), upper);
  EXPECT_KIND(upstream_->stat(id_of("89160bec-7a0d-4c6b-8f1f-0a5b0d2c7e11"), Patience::kFull, {}),
              ErrorKind::kNotFound);
}

TEST_F(GlanceUpstream, ADatabaseThatDoesNotTellCaseMakesNoSecondImage) {
  open();
  const std::string id = glance_.put({.id = "abcdef00-7a0d-4c6b-8f1f-0a5b0d2c7e11", .bytes = "x"});
  std::string record;
  glance_.edit(id, [&](json& of_it) { record = of_it.dump(); });
  Behaviour found = Behaviour::of_status(200);
  found.body = record;
  const std::string upper = "ABCDEF00-7A0D-4C6B-8F1F-0A5B0D2C7E11";
  server_.fault(found, FakeGlance::record(upper));
  EXPECT_KIND(upstream_->stat(id_of(upper), Patience::kFull, {}), ErrorKind::kNotFound);
}

TEST_F(GlanceUpstream, AChangeOfAPropertyIsNoOtherVersion) {
  open();
  const ImageInfo image = info();
  set("updated_at", "2026-12-24T00:00:00Z");
  set("name", "other");
  EXPECT_TRUE(info().validator == image.validator);
  EXPECT_TRUE(upstream_->digest(image, true, {}));
}

TEST_F(GlanceUpstream, ADigestOfAnotherVersionIsStale) {
  open();
  const ImageInfo image = info();
  glance_.put({.name = "image", .bytes = "another"});
  EXPECT_KIND(upstream_->digest(image, false, {}), ErrorKind::kStale);
}

// The rows of the data.

TEST_F(GlanceUpstream, PlainGet) {
  open();
  EXPECT_EQ(expect_right(kWhole), 1u);
  EXPECT_EQ(server_.requests().back().range(), "");
  EXPECT_EQ(listed().size(), 1u);
  // It knows no HEAD.
  for (const Request& request : server_.requests()) EXPECT_EQ(request.method, "GET");
}

TEST_F(GlanceUpstream, PlainGetOfWhatGlanceIsCachingHasNoLength) {
  put({.chunked = true});
  open();
  EXPECT_EQ(expect_right(kWhole), 1u);
  // Cut, by a store that is short, or by Glance, which found the MD5 wrong.
  server_.fault({.cut_after = 100'000, .chunked = true}, FakeGlance::data(id_));
  EXPECT_EQ(expect_right(kWhole), 2u);
  EXPECT_EQ(server_.requests().back().range(), "bytes=100000-300000");
}

TEST_F(GlanceUpstream, ARangeCarriesTheMd5OfTheWhole) {
  open();
  for (ByteRange range : {ByteRange{0, 100}, ByteRange{100, kSize}, ByteRange{kSize - 10, kSize}})
    EXPECT_EQ(expect_right(range), 1u);
}

TEST_F(GlanceUpstream, A416HasNoContentRange) {
  open();
  const ImageInfo image = info();
  server_.fault(Behaviour::of_status(416), FakeGlance::data(id_));
  expect_error(image, kPart, ErrorKind::kProtocol);
  // What it means is told by the record.
  glance_.put({.name = "image", .bytes = "short"});
  expect_error(image, kPart, ErrorKind::kStale);
}

TEST_F(GlanceUpstream, AnEmptyImageIsNotAskedForItsData) {
  glance_.put({.name = "image", .bytes = ""});
  open();
  const ImageInfo image = info();
  EXPECT_EQ(image.size, 0u);
  StringSink sink;
  EXPECT_TRUE(upstream_->read(image, {0, 0}, sink, {}));
  EXPECT_EQ(server_.count(FakeGlance::data(id_)), 0u);
}

TEST_F(GlanceUpstream, ARangeThatTheStoreCannotDoIs400) {
  put({.store = FakeStore::kNoRanges});
  open();
  expect_error(info(), kPart, ErrorKind::kNoRanges);
  EXPECT_EQ(server_.count(FakeGlance::data(id_)), 1u);  // 400 is no failure to be tried again
  EXPECT_EQ(info().ranges, RangeSupport::kNo);
  EXPECT_EQ(upstream_->list(Patience::kFull, {})->at(0).info->ranges, RangeSupport::kNo);
  EXPECT_EQ(expect_right(kWhole), 1u);
  // It is the image's store that knows none, and not Glance.
  const std::string other = glance_.put({.name = "other", .bytes = bytes_});
  StringSink sink;
  EXPECT_TRUE(upstream_->read(stat_of(*upstream_, other), kPart, sink, {}));
}

TEST_F(GlanceUpstream, ACutWithoutRangesStartsAgainAndGivesEachByteOnce) {
  put({.store = FakeStore::kNoRanges});
  open();
  server_.fault({.cut_after = 100'000}, FakeGlance::data(id_));
  EXPECT_EQ(expect_right(kWhole), 3u);  // cut, 400, the whole again
  EXPECT_EQ(server_.requests().back().range(), "");
}

TEST_F(GlanceUpstream, A400ToAPlainGetIsAProtocolError) {
  open();
  server_.fault(Behaviour::of_status(400), FakeGlance::data(id_));
  expect_error(info(), kWhole, ErrorKind::kProtocol);
}

TEST_F(GlanceUpstream, A500ToARangeAgainAndAgainMeansNoRanges) {
  put({.store = FakeStore::kBreaking});
  open();  // two retries
  expect_error(info(), kPart, ErrorKind::kNoRanges);
  EXPECT_EQ(server_.count(FakeGlance::data(id_)), 3u);
  // And where the whole is wanted, the whole is tried.
  server_.fault({.cut_after = 100'000}, FakeGlance::data(id_));
  EXPECT_EQ(expect_right(kWhole), 4u);
}

TEST_F(GlanceUpstream, A500NowAndThenIsTriedAgain) {
  open();
  server_.fault(Behaviour::of_status(500), FakeGlance::data(id_), 2);
  EXPECT_EQ(expect_right(kPart), 3u);
}

TEST_F(GlanceUpstream, A500ToEverythingIsUnavailable) {
  open();
  server_.fault(Behaviour::of_status(500), FakeGlance::data(id_), 100);
  expect_error(info(), kWhole, ErrorKind::kUnavailable);
  EXPECT_EQ(server_.count(FakeGlance::data(id_)), 3u);
}

TEST_F(GlanceUpstream, A204OfAQueuedImageIsNotFound) {
  open();
  const ImageInfo image = info();
  set("status", "queued");
  expect_error(image, kWhole, ErrorKind::kNotFound);
  expect_error(image, kPart, ErrorKind::kNotFound);
}

TEST_F(GlanceUpstream, A204OfAnActiveImageMeansItsDataIsGone) {
  put({.store = FakeStore::kLost});
  open();
  for (ByteRange range : {kWhole, kPart})
    EXPECT_THAT(expect_error(info(), range, ErrorKind::kUnavailable),
                HasSubstr("gone from Glance's store"));
  EXPECT_EQ(server_.count(FakeGlance::data(id_)), 2u);
}

TEST_F(GlanceUpstream, AStoreThatIsShortGoesSilent) {
  HttpConfig config = quick_config();
  config.low_speed_time = 1s;
  config.retries = 1;
  open(config);
  server_.fault({.stall_after = 100'000}, FakeGlance::data(id_));
  server_.fault({.stall_after = 0}, FakeGlance::data(id_), 2);
  StringSink sink;
  EXPECT_KIND(upstream_->read(info(), kWhole, sink, {}), ErrorKind::kTimeout);
  EXPECT_TRUE(sink.text == bytes_.substr(0, 100'000));
}

TEST_F(GlanceUpstream, AnotherMd5IsAnotherVersion) {
  open();
  const ImageInfo image = info();
  glance_.put({.name = "image", .bytes = pattern_string(6, 0, kSize)});
  expect_error(image, kWhole, ErrorKind::kStale);
  expect_error(image, kPart, ErrorKind::kStale);
}

TEST_F(GlanceUpstream, AnUnknownMd5IsNoReasonToRefuse) {
  put({.store = FakeStore::kNoRanges, .unknown_sum = true});
  open();
  const ImageInfo image = info();
  EXPECT_FALSE(image.digest);
  EXPECT_NE(image.validator.last_modified, "");
  EXPECT_EQ(upstream_->digest(image, true, {}).value(), std::nullopt);
  EXPECT_EQ(expect_right(kWhole), 1u);
}

TEST_F(GlanceUpstream, ADownloadThatAPolicyForbids) {
  open();
  server_.fault(Behaviour::of_status(403), FakeGlance::data(id_));
  EXPECT_THAT(expect_error(info(), kWhole, ErrorKind::kDenied), Not(HasSubstr("deactivated")));
  server_.fault(Behaviour::of_status(403), FakeGlance::record(id_));
  EXPECT_KIND(stat(), ErrorKind::kDenied);
}

TEST_F(GlanceUpstream, AnImageThatIsDeletedMeanwhile) {
  open();
  const ImageInfo image = info();
  for (int status : {404, 410}) {
    Behaviour gone = Behaviour::of_status(status);
    gone.body = "<html>No image found with ID</html>";
    server_.fault(gone, FakeGlance::data(id_));
    expect_error(image, kWhole, ErrorKind::kNotFound);
    server_.fault(gone, FakeGlance::record(id_));
    EXPECT_KIND(stat(), ErrorKind::kNotFound);
  }
}

TEST_F(GlanceUpstream, ABackendThatIsDownIsTriedAgain) {
  open();
  server_.fault(Behaviour::of_status(503), FakeGlance::data(id_));
  EXPECT_EQ(expect_right(kWhole), 2u);
  server_.fault(Behaviour::of_status(503), FakeGlance::data(id_), 3);
  expect_error(info(), kWhole, ErrorKind::kUnavailable);
}

TEST_F(GlanceUpstream, AWrongBaseUrlIs300) {
  open();
  const ImageInfo image = info();
  upstream_ = open_glance_at(glance_.endpoint() + "/v1");
  auto got = stat();
  EXPECT_KIND(got, ErrorKind::kProtocol);
  EXPECT_THAT(got.error().message, HasSubstr("is the URL of Glance right?"));
  EXPECT_THAT(expect_error(image, kWhole, ErrorKind::kProtocol),
              HasSubstr("is the URL of Glance right?"));
  EXPECT_KIND(upstream_->list(Patience::kFull, {}), ErrorKind::kProtocol);
}

TEST_F(GlanceUpstream, AServerWithoutAnyListIsNoGlance) {
  open();
  server_.fault(Behaviour::of_status(404), FakeGlance::listing(), 2);
  EXPECT_KIND(upstream_->list(Patience::kFull, {}), ErrorKind::kProtocol);
  EXPECT_KIND(upstream_->names()->find_named("image", Patience::kFull, {}), ErrorKind::kProtocol);
}

// Proxies in front of it.

TEST_F(GlanceUpstream, WhatAProxySaysOfVersionsDoesNotCount) {
  open();
  server_.fault({.cut_after = 100'000, .etag = "\"a\"", .last_modified = "yesterday"},
                FakeGlance::data(id_));
  server_.fault({.etag = "\"b\"", .last_modified = "today"}, FakeGlance::data(id_));
  EXPECT_EQ(expect_right(kWhole), 2u);
}

TEST_F(GlanceUpstream, AProxysLoginPageIsNoRecordAndNoData) {
  open();
  const ImageInfo image = info();
  Behaviour page = Behaviour::of_status(200);
  page.body = "<html>Please log in</html>";
  server_.fault(page, {}, 2);
  EXPECT_KIND(stat(), ErrorKind::kProtocol);
  EXPECT_KIND(upstream_->list(Patience::kFull, {}), ErrorKind::kProtocol);
  Content html = Content::of(page.body);
  html.content_type = "text/html; charset=utf-8";
  for (bool chunked : {false, true}) {
    server_.fault({.chunked = chunked, .other_content = html}, FakeGlance::data(id_));
    expect_error(image, kWhole, ErrorKind::kProtocol);
  }
}

TEST_F(GlanceUpstream, GlanceUnderAPath) {
  // The data is where the fake has it; this is about records and pages.
  glance_.prefix("/image");
  glance_.page(1);
  glance_.put({.name = "other", .bytes = "x"});
  open();
  EXPECT_TRUE(stat());
  EXPECT_EQ(listed().size(), 2u);
}

// Tokens.

TEST_F(GlanceUpstream, TheTokenIsShownWithEveryRequest) {
  glance_.tokens({"good"});
  open(quick_config(), "good");
  expect_right(kWhole);
  expect_right(kPart);
  EXPECT_EQ(listed().size(), 1u);
  for (const Request& request : server_.requests())
    EXPECT_EQ(request.header("x-auth-token"), "good");
}

TEST_F(GlanceUpstream, WithoutATokenThereIsNoHeader) {
  open();
  expect_right(kWhole);
  for (const Request& request : server_.requests())
    EXPECT_EQ(request.headers.count("x-auth-token"), 0u);
}

TEST_F(GlanceUpstream, ATokenThatIsRefusedForGoodIsDenied) {
  open(quick_config(), "secret-token");
  const ImageInfo image = info();
  glance_.tokens({"good"});
  server_.forget_requests();
  auto got = stat();
  EXPECT_KIND(got, ErrorKind::kDenied);
  EXPECT_THAT(got.error().message, Not(HasSubstr("secret-token")));
  EXPECT_THAT(expect_error(image, kWhole, ErrorKind::kDenied), Not(HasSubstr("secret-token")));
  EXPECT_KIND(upstream_->list(Patience::kFull, {}), ErrorKind::kDenied);
  EXPECT_EQ(server_.requests().size(), 3u);  // the same token is not shown twice
  open();
  EXPECT_KIND(stat(), ErrorKind::kDenied);
  expect_error(image, kWhole, ErrorKind::kDenied);
}

// Hands out t1, t2, ...: the next one once the last was refused.
class Renewing : public Authenticator {
 public:
  explicit Renewing(std::string endpoint) : endpoint_(std::move(endpoint)) {}
  Result<ServiceAccess> access(Patience, std::stop_token) override {
    if (denied) return fail(ErrorKind::kDenied, "Keystone does not let us in");
    return ServiceAccess{endpoint_, "t" + std::to_string(number)};
  }
  void refused(const std::string& token) override {
    if (token == "t" + std::to_string(number)) ++number;
  }
  std::atomic<int> number{1};
  std::atomic<bool> denied{false};

 private:
  const std::string endpoint_;
};

class GlanceTokens : public GlanceUpstream {
 protected:
  void SetUp() override {
    GlanceUpstream::SetUp();
    auto renewing = std::make_unique<Renewing>(glance_.endpoint());
    renewing_ = renewing.get();
    upstream_ = open_glance(std::move(renewing), quick_config()).value();
    glance_.tokens({"t1"});
  }
  Renewing* renewing_ = nullptr;
};

TEST_F(GlanceTokens, OneThatRanOutIsRenewedForEveryKindOfQuestion) {
  const ImageInfo image = info();
  glance_.tokens({"t2"});
  EXPECT_TRUE(stat());
  glance_.tokens({"t3"});
  EXPECT_EQ(listed().size(), 1u);
  glance_.tokens({"t4"});
  EXPECT_TRUE(upstream_->names()->find_named("image", Patience::kOneTry, {}));
  glance_.tokens({"t5"});
  EXPECT_TRUE(upstream_->digest(image, true, {}));
  for (ByteRange range : {kWhole, kPart}) {
    glance_.tokens({"t" + std::to_string(renewing_->number + 1)});
    StringSink sink;
    EXPECT_TRUE(upstream_->read(image, range, sink, {}));
    EXPECT_TRUE(sink.text == bytes_.substr(range.begin, range.size()));
  }
  EXPECT_EQ(renewing_->number, 7);
}

TEST_F(GlanceTokens, OneThatRunsOutInTheMiddleEndsNothing) {
  const ImageInfo image = info();
  StringSink sink;
  size_t next = 50'000;
  sink.on_write = [&] {  // each attempt gets a part, with a token that is not good after it
    if (sink.text.size() < next) return;
    next += 50'000;
    glance_.tokens({"t" + std::to_string(renewing_->number + 1)});
  };
  server_.fault({.cut_after = 50'000}, FakeGlance::data(id_));
  auto outcome = upstream_->read(image, kWhole, sink, {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(sink.text == bytes_);
  EXPECT_EQ(outcome->attempts, 3u);  // cut, 401, the rest
  EXPECT_GE(renewing_->number, 2);
}

TEST_F(GlanceTokens, EachRefusalIsGoodForOneRenewal) {
  const ImageInfo image = info();
  glance_.tokens({"none of them"});
  server_.forget_requests();
  EXPECT_KIND(stat(), ErrorKind::kDenied);
  EXPECT_EQ(server_.requests().size(), 2u);
  expect_error(image, kWhole, ErrorKind::kDenied);
  EXPECT_EQ(server_.requests().size(), 4u);
  EXPECT_EQ(renewing_->number, 5);  // the second ones were refused, too
}

TEST_F(GlanceTokens, WhatTheAuthenticatorSaysIsPassedOn) {
  const ImageInfo image = info();
  renewing_->denied = true;
  EXPECT_KIND(stat(), ErrorKind::kDenied);
  EXPECT_KIND(upstream_->list(Patience::kOneTry, {}), ErrorKind::kDenied);
  EXPECT_THAT(expect_error(image, kWhole, ErrorKind::kDenied), HasSubstr("Keystone"));
}

TEST_F(GlanceTokens, ATokenDoesNotLeaveItsOrigin) {
  const ImageInfo image = info();
  FaultServer other;
  Content content = Content::of(bytes_);
  other.put("/elsewhere", content);
  server_.fault({.redirect = other.url("/elsewhere")}, FakeGlance::data(id_));
  StringSink sink;
  EXPECT_TRUE(upstream_->read(image, kWhole, sink, {}));
  EXPECT_TRUE(sink.text == bytes_);
  ASSERT_EQ(other.requests().size(), 1u);
  EXPECT_EQ(other.requests()[0].headers.count("x-auth-token"), 0u);
}

TEST_F(GlanceUpstream, TheLoginOfThePlainDirectoryIsNotShown) {
  HttpConfig config = quick_config();
  config.login.bearer = "for-somebody-else";
  open(config);
  expect_right(kWhole);
  for (const Request& request : server_.requests())
    EXPECT_EQ(request.headers.count("authorization"), 0u);
}

// The catalogue.

TEST_F(GlanceUpstream, ListFollowsThePages) {
  open();
  std::vector<std::string> expected{id_};
  for (int i = 0; i < 7; ++i)
    expected.push_back(glance_.put({.name = "i" + std::to_string(i), .bytes = "x"}));
  for (size_t page : {1, 2, 7, 8, 9}) {
    glance_.page(page);
    EXPECT_THAT(listed(), ::testing::UnorderedElementsAreArray(expected)) << page;
  }
}

TEST_F(GlanceUpstream, AnEntrySaysAsMuchAsStat) {
  open();
  auto entries = upstream_->list(Patience::kOneTry, {});
  ASSERT_TRUE(entries) << entries.error().message;
  ASSERT_EQ(entries->size(), 1u);
  const CatalogueEntry& entry = entries->front();
  const ImageInfo image = info();
  EXPECT_EQ(entry.name, "image");
  EXPECT_TRUE(entry.created);
  ASSERT_TRUE(entry.info);
  EXPECT_EQ(entry.info->size, image.size);
  EXPECT_EQ(entry.info->validator, image.validator);
  EXPECT_EQ(entry.info->mtime, image.mtime);
  EXPECT_EQ(entry.info->digest, image.digest);
}

TEST_F(GlanceUpstream, OnlyActiveImagesAreListed) {
  open();
  for (const char* status : {"queued", "deactivated", "saving"}) {
    const std::string id = glance_.put({.name = status, .bytes = "x"});
    glance_.edit(id, [&](json& record) { record["status"] = status; });
  }
  EXPECT_THAT(listed(), ::testing::ElementsAre(id_));
  // Also when the server does not care for the filter.
  json page = {{"images", json::array()}};
  page["images"].push_back({{"id", uuid_of("x")}, {"status", "queued"}, {"size", nullptr}});
  Behaviour answer = Behaviour::of_status(200);
  answer.body = page.dump();
  server_.fault(answer, FakeGlance::listing());
  EXPECT_TRUE(listed().empty());
}

TEST_F(GlanceUpstream, PagesThatLeadElsewhereAreRefused) {
  open();
  FaultServer other;
  for (const std::string& next :
       {other.url("/v2/images?marker=x"), "//" + other.authority() + "/v2/images?marker=x",
        std::string("https://127.0.0.1/v2/images"),
        std::string("/v2/images?limit=1000&status=active"), std::string("/v2/images/" + id_),
        std::string("v2/images?marker=x"), std::string("file:///etc/passwd"), std::string("\n")}) {
    json page = {{"images", json::array()}, {"next", next}};
    Behaviour answer = Behaviour::of_status(200);
    answer.body = page.dump();
    server_.fault(answer, FakeGlance::listing());
    EXPECT_KIND(upstream_->list(Patience::kFull, {}), ErrorKind::kProtocol);
  }
  EXPECT_TRUE(other.requests().empty());
  // The full URL of the same server is none of these.
  json page = {{"images", json::array()}, {"next", server_.url("/v2/images?limit=7")}};
  Behaviour answer = Behaviour::of_status(200);
  answer.body = page.dump();
  server_.fault(answer, FakeGlance::listing());
  EXPECT_THAT(listed(), ::testing::ElementsAre(id_));
}

TEST_F(GlanceUpstream, PagesWithoutAnEndAreRefused) {
  open();
  std::atomic<int> pages = 0;
  server_.on_request([&](const Request&) {
    Behaviour answer = Behaviour::of_status(200);
    answer.body =
        json{{"images", json::array()}, {"next", "/v2/images?marker=" + std::to_string(++pages)}}
            .dump();
    return answer;
  });
  EXPECT_KIND(upstream_->list(Patience::kFull, {}), ErrorKind::kProtocol);
  EXPECT_EQ(pages, 10'000);
  // A ring.
  server_.on_request([&](const Request& request) {
    Behaviour answer = Behaviour::of_status(200);
    const bool a = request.target.ends_with("marker=a");
    answer.body = json{{"images", json::array()},
                       {"next", std::string("/v2/images?marker=") + (a ? "b" : "a")}}
                      .dump();
    return answer;
  });
  server_.forget_requests();
  EXPECT_KIND(upstream_->list(Patience::kFull, {}), ErrorKind::kProtocol);
  EXPECT_EQ(server_.requests().size(), 3u);
}

TEST_F(GlanceUpstream, PagesThatTakeLongerThanOneTryTogetherAreListed) {
  open();
  for (int i = 0; i < 5; ++i) glance_.put({.name = "i" + std::to_string(i), .bytes = "x"});
  glance_.page(1);
  glance_.take_time(std::chrono::milliseconds(700));
  auto entries = upstream_->list(Patience::kOneTry, {});
  ASSERT_TRUE(entries) << entries.error().message;
  EXPECT_EQ(entries->size(), 6u);
}

TEST_F(GlanceUpstream, AGlanceThatIsTooSlowForLongPagesIsAskedForShortOnes) {
  open();
  server_.fault({.stall_before_head = true}, FakeGlance::listing());
  EXPECT_TRUE(upstream_->list(Patience::kOneTry, {}));
  EXPECT_TRUE(upstream_->list(Patience::kOneTry, {}));
  std::vector<std::string> limits;
  for (const Request& request : server_.requests())
    limits.push_back(request.target.substr(0, request.target.find('&')));
  EXPECT_THAT(limits, ::testing::ElementsAre("/v2/images?limit=1000", "/v2/images?limit=100",
                                             "/v2/images?limit=100"));
}

TEST_F(GlanceUpstream, OneThatIsSilentIsNoReasonForShortPages) {
  open();
  server_.fault({.stall_before_head = true}, FakeGlance::listing(), 2);
  EXPECT_KIND(upstream_->list(Patience::kOneTry, {}), ErrorKind::kTimeout);
  server_.forget_requests();
  EXPECT_TRUE(upstream_->list(Patience::kOneTry, {}));
  EXPECT_THAT(server_.requests().front().target, HasSubstr("limit=1000"));
}

TEST_F(GlanceUpstream, APageThatIsTooLongIsRefused) {
  open();
  Content huge = Content::generated(1ULL << 40);
  server_.fault({.other_content = huge}, FakeGlance::listing());
  EXPECT_KIND(upstream_->list(Patience::kFull, {}), ErrorKind::kProtocol);
  server_.fault({.other_content = huge}, FakeGlance::record(id_));
  EXPECT_KIND(stat(), ErrorKind::kProtocol);
}

// Names.

TEST_F(GlanceUpstream, TheNewestActiveImageOfANameIsFound) {
  open();
  const std::string old = glance_.put({.id = uuid_of("1"), .name = "debian", .bytes = "1"});
  const std::string now = glance_.put({.id = uuid_of("2"), .name = "debian", .bytes = "22"});
  const std::string off = glance_.put({.id = uuid_of("3"), .name = "debian", .bytes = "333"});
  glance_.edit(off, [](json& record) { record["status"] = "deactivated"; });
  for (size_t page : {1000, 1}) {
    glance_.page(page);
    auto found = upstream_->names()->find_named("debian", Patience::kFull, {});
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->id.str(), now);
    EXPECT_EQ(found->info->size, 2u);
  }
  glance_.remove(now);
  EXPECT_EQ(upstream_->names()->find_named("debian", Patience::kOneTry, {})->id.str(), old);
}

TEST_F(GlanceUpstream, OnlyExactlyThatName) {
  open();
  glance_.put({.name = "Debian", .bytes = "x"});
  EXPECT_KIND(upstream_->names()->find_named("debian", Patience::kFull, {}), ErrorKind::kNotFound);
  // From a database that finds it all the same, or a server that knows no such filter.
  server_.on_request([&](const Request&) {
    Behaviour answer = Behaviour::of_status(200);
    json record = {{"id", id_}, {"name", "Debian"}, {"status", "active"}, {"size", 1}};
    json page = {{"images", json::array()}};
    page["images"].push_back(record);
    answer.body = page.dump();
    return answer;
  });
  EXPECT_KIND(upstream_->names()->find_named("debian", Patience::kFull, {}), ErrorKind::kNotFound);
  EXPECT_TRUE(upstream_->names()->find_named("Debian", Patience::kFull, {}));
}

TEST_F(GlanceUpstream, NamesOfAllKindsAreFound) {
  open();
  for (const std::string& name :
       {std::string("ubuntu:22.04"), std::string("in:a,b"), std::string("eq:x"), std::string(":"),
        std::string("a,b"), std::string("\"quoted\""), std::string("a&b=c#d?e/f+g %41"),
        std::string("ä€😀"), std::string("back\\slash"), std::string("line\nend"),
        std::string("2026-11-20T04:41:20Z"), std::string(" ")}) {
    const std::string id = glance_.put({.name = name, .bytes = name});
    auto found = upstream_->names()->find_named(name, Patience::kFull, {});
    ASSERT_TRUE(found) << name << ": " << found.error().message;
    EXPECT_EQ(found->id.str(), id);
    EXPECT_EQ(found->name, name);
  }
}

TEST_F(GlanceUpstream, WhatCannotBeANameIsNotFoundWithoutAsking) {
  open();
  for (const std::string& name :
       {std::string(), std::string("\xff"), std::string("a\0b", 3), std::string(1021, 'x')})
    EXPECT_KIND(upstream_->names()->find_named(name, Patience::kFull, {}), ErrorKind::kNotFound);
  EXPECT_TRUE(server_.requests().empty());
}

// Hostile answers and bad days.

TEST_F(GlanceUpstream, HostileRecordsAreRefused) {
  open();
  json other;
  glance_.edit(id_, [&](json& record) { other = record; });
  other["id"] = uuid_of("another");
  for (const std::string& body :
       {std::string(), std::string("null"), std::string("[]"), std::string("{}"),
        std::string("{\"id\":"), std::string(1'000'000, '['), std::string("\xff\xfe"),
        "{\"id\":\"" + id_ + "\",\"status\":7}",
        "{\"id\":\"" + id_ + "\",\"status\":\"active\",\"size\":-1}", other.dump()}) {
    answer_record(body);
    EXPECT_KIND(stat(), ErrorKind::kProtocol);
  }
  EXPECT_TRUE(stat());
}

TEST_F(GlanceUpstream, ARecordThatIsCutIsAskedForAgain) {
  open();
  Behaviour cut = Behaviour::of_status(200);
  cut.body = std::string(5000, ' ');
  cut.cut_after = 100;
  server_.fault(cut, FakeGlance::record(id_));
  EXPECT_TRUE(stat());
  EXPECT_EQ(server_.count(FakeGlance::record(id_)), 2u);
  EXPECT_EQ(upstream_->stats().errors, 1u);
}

TEST_F(GlanceUpstream, TransientStatusesAreTriedAgain) {
  open();
  for (int status : {408, 429, 500, 502, 503, 504}) {
    server_.fault(Behaviour::of_status(status), FakeGlance::record(id_));
    EXPECT_TRUE(stat()) << status;
    server_.fault(Behaviour::of_status(status), FakeGlance::listing());
    EXPECT_EQ(listed().size(), 1u) << status;
  }
}

TEST_F(GlanceUpstream, OneTryTakesAFewSecondsAtMost) {
  open();  // low_speed_time is 30 s
  server_.fault({.stall_before_head = true}, FakeGlance::record(id_));
  EXPECT_KIND(upstream_->stat(id_of(id_), Patience::kOneTry, {}), ErrorKind::kTimeout);
  EXPECT_EQ(server_.count(FakeGlance::record(id_)), 1u);
  server_.fault(Behaviour::of_status(503), FakeGlance::record(id_));
  EXPECT_KIND(upstream_->stat(id_of(id_), Patience::kOneTry, {}), ErrorKind::kUnavailable);
}

TEST_F(GlanceUpstream, AFileThatCannotBeReadIsSaidAtOnce) {
  HttpConfig config = quick_config();
  config.ca_file = "/nowhere/ca.pem";
  EXPECT_KIND(open_glance(fixed_access(glance_.endpoint(), ""), config), ErrorKind::kInvalid);
  EXPECT_TRUE(server_.requests().empty());
}

}  // namespace
}  // namespace imgcachefs
