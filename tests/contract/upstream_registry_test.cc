// Blobs of a registry, row by row of what the real one was measured to do, and what others could.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "contract/oci_upstream.h"
#include "support/log_capture.h"

namespace imgcachefs {
namespace {

using namespace test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RegistryBlobs : public RegistryUpstream {};

TEST_F(RegistryBlobs, OneHeadTellsAllThereIsToKnow) {
  open();
  const ImageInfo image = info();
  EXPECT_EQ(image.size, kSize);
  EXPECT_EQ(image.validator.etag, "\"" + blob_ + "\"");
  EXPECT_EQ(image.validator.last_modified, "");
  EXPECT_EQ(image.digest->tagged(), blob_);
  EXPECT_EQ(image.ranges, RangeSupport::kYes);
  EXPECT_THAT(asked(), ElementsAre("HEAD /v2/team/vm/blobs/" + blob_));
  EXPECT_TRUE(layer_info_->contains("team/vm", digest_));
  EXPECT_EQ(layer_info_->get(digest_), (LayerInfo{"team/vm", kSize}));
  EXPECT_EQ(upstream_->digest(image, false, {}).value(), digest_);
  // And is known from then on.
  EXPECT_EQ(info().size, kSize);
  EXPECT_TRUE(upstream_->stat(id_of(blob_), Patience::kOneTry, {}));
  EXPECT_EQ(asked().size(), 1u);
}

TEST_F(RegistryBlobs, RangesAreRead) {
  open();
  for (ByteRange range : {ByteRange{0, 10}, ByteRange{kSize - 6, kSize}, kWhole, kPart})
    EXPECT_EQ(expect_right(range), 1u);
  EXPECT_EQ(server_.requests().back().range(), "bytes=1000-1999");
}

TEST_F(RegistryBlobs, OneThatIsNotInTheRepositoryIsNotFound) {
  open();
  registry_.push("other", "x");
  for (const char* repository : {"other", "no/such"})
    EXPECT_KIND(stat(repository, blob_), ErrorKind::kNotFound);
  EXPECT_KIND(stat("team/vm", digest_of_bytes("unknown")), ErrorKind::kNotFound);
  EXPECT_KIND(stat("team/vm", digest_of_bytes("x", DigestAlgo::kSha512)), ErrorKind::kNotFound);
  EXPECT_EQ(upstream_->stats().errors, 0u);
}

TEST_F(RegistryBlobs, WhatCannotBeOneIsNotFoundWithoutAsking) {
  open();
  const ImageInfo of_blob = info();
  server_.forget_requests();
  for (const char* id :
       {"sha256:zz", "md5:d41d8cd98f00b204e9800998ecf8427e", "notadigest", "a b"}) {
    EXPECT_KIND(stat("team/vm", id), ErrorKind::kNotFound);
    EXPECT_KIND(upstream_->stat(id_of(id), Patience::kFull, {}), ErrorKind::kNotFound);
    ImageInfo odd = of_blob;
    odd.id = id_of(id);
    StringSink sink;
    EXPECT_KIND(upstream_->read(odd, kPart, sink, {}), ErrorKind::kNotFound);
  }
  for (const char* repository : {"", "Team/vm", "a//b", "../x", "a/../../b", "team/vm/blobs/x:y"})
    EXPECT_KIND(stat(repository, blob_), ErrorKind::kNotFound);
  EXPECT_THAT(asked(), IsEmpty());
}

TEST_F(RegistryBlobs, ADigestOfAKindTheRegistryDoesNotKnowIsNotFound) {
  const std::string id = registry_.push("team/vm", bytes_, DigestAlgo::kSha512);
  open();
  server_.fault(Behaviour::of_status(400), FakeRegistry::blob_head("team/vm", id));
  EXPECT_KIND(stat("team/vm", id), ErrorKind::kNotFound);
  // SHA-256 they all know: this is a TLS port that is asked in plain, or the like.
  server_.fault(Behaviour::of_status(400), head());
  EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kProtocol);
}

TEST_F(RegistryBlobs, OfSha512AreReadAsWell) {
  const std::string id = registry_.push("team/vm", bytes_, DigestAlgo::kSha512);
  open();
  const ImageInfo image = info("team/vm", id);
  EXPECT_EQ(image.digest->algo, DigestAlgo::kSha512);
  StringSink sink;
  EXPECT_TRUE(upstream_->read(image, kWhole, sink, {}));
  EXPECT_TRUE(sink.text == bytes_);
}

TEST_F(RegistryBlobs, AnEmptyOne) {
  const std::string empty = registry_.push("team/vm", "");
  open();
  EXPECT_EQ(info("team/vm", empty).size, 0u);
}

TEST_F(RegistryBlobs, ThatIsShortInTheStoreHasTheSizeTheRegistrySays) {
  open();
  server_.put(get().path, Content::of(bytes_.substr(0, 100)));
  EXPECT_EQ(info().size, 100u);  // and a wrong digest, which is the cache's to find
}

TEST_F(RegistryBlobs, AnotherBlobsDigestIsAProtocolError) {
  open();
  const ImageInfo image = info();
  const std::string other = digest_of_bytes("other");
  Content wrong = Content::of(bytes_);
  wrong.headers = {{"Docker-Content-Digest", other}};
  server_.fault({.other_content = wrong}, get(), 2);
  EXPECT_THAT(expect_error(image, kWhole, ErrorKind::kProtocol), HasSubstr(other));
  expect_error(image, kPart, ErrorKind::kProtocol);
  layer_info_->remove(digest_);
  server_.fault({.other_content = wrong}, head());
  EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kProtocol);
  // One of another kind, or that is none, says nothing.
  for (const std::string& odd :
       {digest_of_bytes(bytes_, DigestAlgo::kSha512), std::string("odd")}) {
    wrong.headers = {{"Docker-Content-Digest", odd}};
    server_.fault({.other_content = wrong}, get());
    expect_right(kWhole);
  }
}

// Sizes that somebody got wrong.

TEST_F(RegistryBlobs, AWrongSizeIsStaleAndForgotten) {
  open();
  info();
  for (uint64_t wrong : {kSize - 1, kSize + 1, uint64_t{100}, 2 * kSize}) {
    for (ByteRange range : {ByteRange{0, wrong}, ByteRange{10, 20}}) {
      layer_info_->set(digest_, {"team/vm", wrong});
      const ImageInfo image = info();
      EXPECT_EQ(image.size, wrong);
      LogCapture log;
      expect_error(image, range, ErrorKind::kStale);
      EXPECT_THAT(log.text(), HasSubstr("forgotten"));
      EXPECT_EQ(layer_info_->get(digest_), std::nullopt);
      expect_error(image, range, ErrorKind::kStale);
      const std::string text = log.text();
      EXPECT_EQ(text.find("forgotten"), text.rfind("forgotten"));  // it is said once
      EXPECT_EQ(info().size, kSize);
    }
  }
}

TEST_F(RegistryBlobs, ARangePastTheRealEndIsStale) {
  open();
  info();
  layer_info_->set(digest_, {"team/vm", 2 * kSize});
  const ImageInfo image = info();
  // 416, and a Content-Length of which little comes.
  expect_error(image, {kSize + 10, kSize + 20}, ErrorKind::kStale);
  EXPECT_EQ(server_.requests().back().status, 416);
}

TEST_F(RegistryBlobs, TheBodyOfA416IsNotWaitedFor) {
  HttpConfig patient = quick_config();
  patient.low_speed_time = std::chrono::hours(1);
  open({.http = patient});
  const ImageInfo image = info();
  for (uint64_t comes : {0, 14}) {
    Behaviour lie = Behaviour::of_status(416);
    lie.body = std::string(100, 'x');
    lie.content_length = std::to_string(kSize);
    lie.stall_after = comes;
    server_.fault(lie, get());
    expect_error(image, kPart, ErrorKind::kProtocol);
  }
}

TEST_F(RegistryBlobs, AfterAMismatchTheSizeIsAskedForAnew) {
  open();
  const ImageInfo image = info();
  EXPECT_EQ(upstream_->digest(image, true, {}).value(), digest_);
  info();
  EXPECT_EQ(server_.count(head()), 2u);
}

// Servers that do it otherwise.

TEST_F(RegistryBlobs, WhereThereIsNoHeadTheFirstByteTells) {
  for (int status : {405, 501}) {
    open();
    server_.forget_requests();
    server_.fault(Behaviour::of_status(status), head(), 0);
    const ImageInfo image = info();
    EXPECT_EQ(image.size, kSize);
    EXPECT_EQ(image.ranges, RangeSupport::kYes);
    EXPECT_EQ(server_.requests().back().range(), "bytes=0-0");
    // It is not tried again.
    const std::string empty = registry_.push("team/vm", "");
    EXPECT_EQ(info("team/vm", empty).size, 0u);
    EXPECT_EQ(server_.requests().size(), 3u);
    server_.clear_faults();
    registry_.answer_again();
  }
}

TEST_F(RegistryBlobs, AHeadThatDoesNotTellTheSizeIsNoAnswer) {
  for (const char* length : {"", "0"}) {
    open();
    server_.fault({.content_length = length}, head());
    EXPECT_EQ(info().size, kSize) << length;
  }
}

TEST_F(RegistryBlobs, WithoutRangesAndWithoutAHead) {
  registry_.no_ranges();
  open();
  server_.fault(Behaviour::of_status(405), head());
  const ImageInfo image = info();
  EXPECT_EQ(image.size, kSize);
  EXPECT_EQ(image.ranges, RangeSupport::kNo);
  expect_error(image, kPart, ErrorKind::kNoRanges);
  expect_right(kWhole);
}

TEST_F(RegistryBlobs, WhoseSizeNobodyTellsIsAProtocolError) {
  open();
  server_.fault({.content_length = ""}, head());
  server_.fault({.ignore_range = true, .chunked = true}, get());
  EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kProtocol);
}

TEST_F(RegistryBlobs, ThatAreCutAreGoneOnWith) {
  open();
  server_.fault({.cut_after = 100'000}, get());
  EXPECT_EQ(expect_right(kWhole), 2u);
  EXPECT_EQ(server_.requests().back().range(), "bytes=100000-300000");
}

TEST_F(RegistryBlobs, TooManyRequestsAreTriedAgainLater) {
  open();
  Behaviour later = Behaviour::of_status(429);
  later.headers = {{"Retry-After", "0"}};
  server_.fault(later, head());
  server_.fault(later, get());
  EXPECT_EQ(expect_right(kPart), 2u);
  later.headers = {{"Retry-After", "3600"}};
  server_.fault(later, get());
  expect_error(info(), kPart, ErrorKind::kUnavailable);
}

TEST_F(RegistryBlobs, OneTryIsOneBudgetForAllItTakes) {
  open();
  server_.fault({.stall_before_head = true}, head());
  EXPECT_KIND(stat("team/vm", blob_, Patience::kOneTry), ErrorKind::kTimeout);
  server_.fault(Behaviour::of_status(405), head());
  server_.fault({.stall_before_head = true}, get());
  EXPECT_KIND(stat("team/vm", blob_, Patience::kOneTry), ErrorKind::kTimeout);
  server_.fault(Behaviour::of_status(503), get());
  EXPECT_KIND(stat("team/vm", blob_, Patience::kOneTry), ErrorKind::kUnavailable);
  EXPECT_EQ(server_.count(head()), 2u);
  EXPECT_EQ(server_.count(get()), 2u);
}

// Leave to pull.

TEST_F(RegistryBlobs, ARefusedRepositoryIsDeniedWhateverIsKnown) {
  open({.believe = std::chrono::seconds(0)});
  info();
  for (int status : {401, 403}) {
    registry_.refuse("team/vm", status);
    EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kDenied);
    EXPECT_TRUE(layer_info_->contains("team/vm", digest_));  // still
  }
  registry_.refuse("team/vm", 0);
  EXPECT_EQ(info().size, kSize);
}

TEST_F(RegistryBlobs, WhatOthersHaveLearntDoesNotLetAnybodyIn) {
  open();
  registry_.refuse("team/vm", 403);
  layer_info_->add("team/vm", digest_);
  layer_info_->set(digest_, {"team/vm", kSize});
  EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kDenied);
}

TEST_F(RegistryBlobs, LeaveIsBelievedForAWhile) {
  // It is asked for without a question about each blob.
  open({.believe = std::chrono::seconds(0)});
  info();
  server_.forget_requests();
  info();
  info();
  EXPECT_EQ(server_.count(head()), 0u);
  EXPECT_EQ(server_.count(FakeRegistry::tags("team/vm")), 2u);
  for (auto believe :
       {std::optional(std::chrono::seconds(300)), std::optional<std::chrono::seconds>()}) {
    open({.believe = believe});
    server_.forget_requests();
    info();
    info();
    EXPECT_EQ(server_.count(head()), 1u);
  }
}

TEST_F(RegistryBlobs, AnythingThatMayBePulledIsLeave) {
  registry_.tag("team/vm", "latest", FakeRegistry::image_of({}));
  for (bool by_tags : {true, false}) {
    open();
    layer_info_->add("team/vm", digest_);
    layer_info_->set(digest_, {"team/vm", kSize});
    if (by_tags)
      ASSERT_TRUE(repositories().tags("team/vm", Patience::kFull, {}));
    else
      ASSERT_TRUE(repositories().tag("team/vm", "latest", Patience::kFull, {}));
    server_.forget_requests();
    info();
    EXPECT_THAT(asked(), IsEmpty());
  }
  // And a refusal ends it.
  registry_.refuse("team/vm", 403);
  EXPECT_KIND(repositories().tags("team/vm", Patience::kFull, {}), ErrorKind::kDenied);
  EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kDenied);
}

TEST_F(RegistryBlobs, OneThatIsGoneFromTheRepositoryIsNotShown) {
  open();
  const ImageInfo image = info();
  registry_.remove("team/vm", blob_);
  StringSink sink;
  EXPECT_KIND(upstream_->read(image, kWhole, sink, {}), ErrorKind::kNotFound);
  EXPECT_KIND(stat("team/vm", blob_), ErrorKind::kNotFound);
  EXPECT_FALSE(layer_info_->contains("team/vm", digest_));
  // Of the same bytes elsewhere its size is as true as before.
  EXPECT_EQ(layer_info_->get(digest_), (LayerInfo{"", kSize}));
}

TEST_F(RegistryBlobs, TheyNeedNoTags) {
  open();
  server_.fault(Behaviour::of_status(404), FakeRegistry::tags("team/vm"), 0);
  EXPECT_KIND(repositories().tags("team/vm", Patience::kFull, {}), ErrorKind::kNotFound);
  expect_right(kWhole);
}

// In several repositories.

TEST_F(RegistryBlobs, AreReadFromAnotherRepositoryWhereOneRefuses) {
  registry_.push("other", bytes_);
  for (int status : {401, 403, 404}) {
    open();
    info("other");
    const ImageInfo image = info();  // so team/vm is asked first
    registry_.refuse("team/vm", status);
    for (ByteRange range : {kWhole, kPart}) {
      StringSink sink;
      auto outcome = upstream_->read(image, range, sink, {});
      ASSERT_TRUE(outcome) << outcome.error().message;
      EXPECT_TRUE(sink.text == bytes_.substr(range.begin, range.size()));
    }
    EXPECT_EQ(layer_info_->contains("team/vm", digest_), status != 404);
    EXPECT_TRUE(layer_info_->contains("other", digest_));
    registry_.refuse("team/vm", 0);
  }
}

TEST_F(RegistryBlobs, AreReadFromAnotherRepositoryInTheMiddle) {
  registry_.push("other", bytes_);
  open();
  info("other");
  const ImageInfo image = info();
  server_.fault({.cut_after = 100'000}, get());
  server_.fault(Behaviour::of_status(404), get());
  StringSink sink;
  auto outcome = upstream_->read(image, kWhole, sink, {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->attempts, 3u);
  EXPECT_TRUE(sink.text == bytes_);
  EXPECT_EQ(server_.requests().back().path, FakeRegistry::blob("other", blob_).path);
}

TEST_F(RegistryBlobs, ThatNoRepositoryGivesAreDeniedOrGone) {
  registry_.push("other", bytes_);
  open();
  info("other");
  const ImageInfo image = info();
  registry_.refuse("team/vm", 403);
  registry_.remove("other", blob_);
  expect_error(image, kWhole, ErrorKind::kDenied);  // it may be there
  registry_.refuse("team/vm", 0);
  registry_.remove("team/vm", blob_);
  expect_error(image, kWhole, ErrorKind::kNotFound);
  // Where it was last is asked all the same: it may be back.
  EXPECT_THAT(expect_error(image, kWhole, ErrorKind::kNotFound), HasSubstr("status 404"));
  registry_.push("team/vm", bytes_);
  registry_.push("other", bytes_);
  StringSink sink;
  EXPECT_TRUE(upstream_->read(image, kWhole, sink, {}));
}

TEST_F(RegistryBlobs, WhereATokenIsRefusedAnotherRepositoryIsTried) {
  registry_.push("other", bytes_);
  auto auth = std::make_unique<ScriptedAuth>();
  ScriptedAuth& script = *auth;
  open({.auth = std::move(auth)});
  info("other");
  const ImageInfo image = info();
  script.deny("repository:team/vm:pull");
  StringSink sink;
  EXPECT_TRUE(upstream_->read(image, kWhole, sink, {}));
  script.deny("repository:other:pull");
  EXPECT_THAT(expect_error(image, kWhole, ErrorKind::kDenied), HasSubstr("token server"));
  EXPECT_KIND(stat("no/such", blob_), ErrorKind::kNotFound);
}

TEST_F(RegistryBlobs, WithoutARepositoryAreNotFound) {
  open();
  auto got = upstream_->stat(id_of(blob_), Patience::kFull, {});
  EXPECT_KIND(got, ErrorKind::kNotFound);
  EXPECT_THAT(got.error().message, HasSubstr("no repository"));
  EXPECT_THAT(asked(), IsEmpty());
  EXPECT_TRUE(upstream_->list(Patience::kFull, {})->empty());
}

TEST_F(RegistryBlobs, WhereOthersFoundThemIsAPlaceToAsk) {
  open();
  layer_info_->set(digest_, {"team/vm", kSize});
  auto image = upstream_->stat(id_of(blob_), Patience::kFull, {});
  ASSERT_TRUE(image);
  EXPECT_THAT(asked(), IsEmpty());
  StringSink sink;
  EXPECT_TRUE(upstream_->read(*image, kWhole, sink, {}));
  EXPECT_TRUE(sink.text == bytes_);
  // But not anything that stands there.
  for (const char* path : {"", "../x", "/registry/docker/blobs", "Team/vm", "a b", "x?y=z"}) {
    layer_info_->set(digest_, {path, kSize});
    open_again();
    server_.forget_requests();
    expect_error(*image, kWhole, ErrorKind::kNotFound);
    EXPECT_THAT(asked(), IsEmpty());
  }
}

TEST_F(RegistryBlobs, StatAsksTheRepositoriesThatMayHaveThem) {
  registry_.push("other", "x");
  for (const char* repository : {"team/vm", "other"})
    registry_.tag(repository, "latest", FakeRegistry::image_of({{"disk", blob_}}));
  open();
  for (const char* repository : {"other", "team/vm"})
    ASSERT_TRUE(repositories().tag(repository, "latest", Patience::kFull, {}));
  // A manifest is no proof.
  EXPECT_FALSE(layer_info_->contains("other", digest_));
  EXPECT_FALSE(layer_info_->get(digest_));
  server_.forget_requests();
  EXPECT_EQ(stat_of(*upstream_, blob_).size, kSize);
  EXPECT_THAT(asked(),
              ElementsAre("HEAD /v2/other/blobs/" + blob_, "HEAD /v2/team/vm/blobs/" + blob_));
  EXPECT_TRUE(layer_info_->contains("team/vm", digest_));
  EXPECT_FALSE(layer_info_->contains("other", digest_));
}

TEST_F(RegistryBlobs, StatIsDeniedRatherThanNotFound) {
  for (const char* repository : {"team/vm", "other"})
    registry_.tag(repository, "latest", FakeRegistry::image_of({{"disk", blob_}}));
  open();
  for (const char* repository : {"team/vm", "other"})
    ASSERT_TRUE(repositories().tag(repository, "latest", Patience::kFull, {}));
  registry_.refuse("team/vm", 403);
  EXPECT_KIND(upstream_->stat(id_of(blob_), Patience::kFull, {}), ErrorKind::kDenied);
}

// Many at once, for the sanitizers.

TEST_F(RegistryBlobs, ManyAskersOfAllKinds) {
  registry_.tag("team/vm", "latest", FakeRegistry::image_of({{"disk", blob_}}));
  open({.believe = std::chrono::seconds(0)});
  std::atomic<int> right = 0;
  {
    std::vector<std::jthread> askers;
    for (int i = 0; i < 12; ++i)
      askers.emplace_back([&, i] {
        if (i % 4 == 0 && repositories().tag("team/vm", "latest", Patience::kFull, {})) ++right;
        if (i % 4 == 1 && stat("team/vm", blob_)) ++right;
        if (i % 4 == 2 && repositories().catalogue(Patience::kFull, {})) ++right;
        if (i % 4 == 3 && stat("team/vm", blob_)) {
          StringSink sink;
          if (upstream_->read(stat_of(*upstream_, blob_), kPart, sink, {})) ++right;
        }
      });
  }
  EXPECT_EQ(right, 12);
}

TEST(OpenRegistry, WhatIsNoRegistryIsSaidAtOnce) {
  for (const char* url :
       {"", "host:5000", "ftp://h", "http://h/v2", "http://h/?q", "http://u:p@h"}) {
    auto opened = open_registry(registry_config(url));
    EXPECT_KIND(opened, ErrorKind::kInvalid);
    EXPECT_THAT(opened.error().message, Not(HasSubstr("u:p")));
  }
  RegistryConfig config = registry_config("http://h");
  config.http.ca_file = "/nowhere/ca.pem";
  EXPECT_KIND(open_registry(std::move(config)), ErrorKind::kInvalid);
}

}  // namespace
}  // namespace imgcachefs
