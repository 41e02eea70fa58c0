// What every Upstream promises (fetch/upstream.h), tried on each kind of server there is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "contract/oci_fixture.h"
#include "contract/upstream_fixture.h"

namespace imgcachefs {
namespace {

using namespace test;

struct Backend {
  const char* name;
  std::function<std::unique_ptr<ImageServer>()> make;
};

void PrintTo(const Backend& backend, std::ostream* out) {  // the name of the test in CTest
  *out << backend.name;
}

class UpstreamContract : public ::testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    server_ = GetParam().make();
    server_->put("image", bytes_);
    upstream_ = server_->open(quick_config());
  }

  ImageId id(const std::string& name) { return id_of(server_->id(name)); }
  ImageInfo info(const std::string& name) { return stat_of(*upstream_, server_->id(name)); }

  const std::string bytes_ = pattern_string(7, 0, 300'001);
  std::unique_ptr<ImageServer> server_;
  std::unique_ptr<Upstream> upstream_;
};

TEST_P(UpstreamContract, StatTellsTheSize) {
  auto info = upstream_->stat(id("image"), Patience::kFull, {});
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->id.str(), server_->id("image"));
  EXPECT_EQ(info->size, bytes_.size());
  EXPECT_FALSE(info->validator.etag.empty());
  EXPECT_NE(info->mtime.has_value(), server_->content_addressed());
  EXPECT_TRUE(upstream_->stat(id("image"), Patience::kOneTry, {}));
}

TEST_P(UpstreamContract, AnUnknownImageIsNotFound) {
  EXPECT_KIND(upstream_->stat(id("nothing"), Patience::kFull, {}), ErrorKind::kNotFound);
  EXPECT_KIND(upstream_->stat(id("nothing"), Patience::kOneTry, {}), ErrorKind::kNotFound);
  const ImageInfo image = info("image");
  server_->remove("image");
  StringSink sink;
  EXPECT_KIND(upstream_->read(image, {0, image.size}, sink, {}), ErrorKind::kNotFound);
  EXPECT_EQ(sink.text, "");
}

TEST_P(UpstreamContract, ReadGivesTheWholeImage) {
  const ImageInfo image = info("image");
  StringSink sink;
  auto outcome = upstream_->read(image, {0, image.size}, sink, {});
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->attempts, 1u);
  EXPECT_TRUE(sink.text == bytes_);
}

TEST_P(UpstreamContract, ReadGivesExactlyTheAskedRange) {
  const ImageInfo image = info("image");
  for (ByteRange range : {ByteRange{0, 1}, ByteRange{1, 2}, ByteRange{0, 300'000},
                          ByteRange{299'999, 300'001}, ByteRange{65'535, 131'073}}) {
    StringSink sink;
    auto outcome = upstream_->read(image, range, sink, {});
    if (!server_->ranges()) {
      EXPECT_KIND(outcome, ErrorKind::kNoRanges);
      EXPECT_EQ(sink.text, "");
      continue;
    }
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_TRUE(sink.text == bytes_.substr(range.begin, range.size())) << range.begin;
  }
}

TEST_P(UpstreamContract, WhatRangesTellsIsTrue) {
  const RangeSupport before = info("image").ranges;
  EXPECT_NE(before, server_->ranges() ? RangeSupport::kNo : RangeSupport::kYes);
  StringSink sink;
  (void)upstream_->read(info("image"), {1, 2}, sink, {});
  if (!server_->ranges()) {
    EXPECT_EQ(info("image").ranges, RangeSupport::kNo);
  }
}

TEST_P(UpstreamContract, AnEmptyImage) {
  server_->put("empty", "");
  const ImageInfo image = info("empty");
  EXPECT_EQ(image.size, 0u);
  StringSink sink;
  EXPECT_TRUE(upstream_->read(image, {0, 0}, sink, {}));
  EXPECT_EQ(sink.text, "");
}

TEST_P(UpstreamContract, RangesOutsideTheImageAreRefused) {
  const ImageInfo image = info("image");
  StringSink sink;
  EXPECT_KIND(upstream_->read(image, {0, image.size + 1}, sink, {}), ErrorKind::kInvalid);
  EXPECT_EQ(sink.text, "");
}

TEST_P(UpstreamContract, AnImageThatChangedIsStaleAndNeverMixed) {
  const ImageInfo image = info("image");
  const ErrorKind gone = server_->content_addressed() ? ErrorKind::kNotFound : ErrorKind::kStale;
  for (const std::string& other :
       {pattern_string(8, 0, bytes_.size()), pattern_string(8, 0, 100), bytes_ + "x"}) {
    server_->put("image", other);
    for (ByteRange range : {ByteRange{0, image.size}, ByteRange{200'000, 200'100}}) {
      StringSink sink;
      auto outcome = upstream_->read(image, range, sink, {});
      ASSERT_FALSE(outcome);
      EXPECT_TRUE(outcome.error().kind == gone ||
                  (!server_->ranges() && outcome.error().kind == ErrorKind::kNoRanges))
          << outcome.error().message;
      EXPECT_EQ(sink.text, "");
    }
  }
}

TEST_P(UpstreamContract, NamesOfAllKinds) {
  for (const char* name :
       {"a b+c#%.img", "ä€😀", "x&y=z;?.img", "%41", "sha256:ab", "~-_.", "'\"<>"}) {
    server_->put(name, name);
    const ImageInfo image = info(name);
    StringSink sink;
    ASSERT_TRUE(upstream_->read(image, {0, image.size}, sink, {})) << name;
    EXPECT_EQ(sink.text, name);
  }
}

TEST_P(UpstreamContract, ListHasEveryImage) {
  server_->put("a b+c#%.img", "x");
  server_->put("ä&<>.img", "x");
  auto entries = upstream_->list(Patience::kFull, {});
  ASSERT_TRUE(entries) << entries.error().message;
  std::vector<std::string> ids;
  for (const CatalogueEntry& entry : *entries) ids.push_back(entry.id.str());
  EXPECT_THAT(ids, ::testing::UnorderedElementsAre(server_->id("image"), server_->id("a b+c#%.img"),
                                                   server_->id("ä&<>.img")));
}

TEST_P(UpstreamContract, TheSinkEndsATransfer) {
  const ImageInfo image = info("image");
  StringSink sink;
  sink.enough = 1;
  EXPECT_KIND(upstream_->read(image, {0, image.size}, sink, {}), ErrorKind::kCancelled);
  // And the upstream is as good as before.
  StringSink again;
  EXPECT_TRUE(upstream_->read(image, {0, image.size}, again, {}));
}

TEST_P(UpstreamContract, AStoppedCallIsCancelled) {
  const ImageInfo image = info("image");
  std::stop_source stop;
  stop.request_stop();
  StringSink sink;
  EXPECT_KIND(upstream_->read(image, {0, image.size}, sink, stop.get_token()),
              ErrorKind::kCancelled);
  EXPECT_KIND(upstream_->stat(id("image"), Patience::kFull, stop.get_token()),
              ErrorKind::kCancelled);
  EXPECT_KIND(upstream_->list(Patience::kFull, stop.get_token()), ErrorKind::kCancelled);
  EXPECT_KIND(upstream_->digest(image, false, stop.get_token()), ErrorKind::kCancelled);
}

TEST_P(UpstreamContract, AServerThatIsGoneIsUnavailable) {
  const ImageInfo image = info("image");
  server_->stop();
  StringSink sink;
  EXPECT_KIND(upstream_->stat(id("image"), Patience::kOneTry, {}), ErrorKind::kUnavailable);
  EXPECT_KIND(upstream_->stat(id("image"), Patience::kFull, {}), ErrorKind::kUnavailable);
  EXPECT_KIND(upstream_->read(image, {0, image.size}, sink, {}), ErrorKind::kUnavailable);
  EXPECT_GE(upstream_->stats().errors, 3u);
  const auto digest = upstream_->digest(image, false, {});
  if (server_->content_addressed())
    EXPECT_EQ(digest.value()->tagged(), image.id.str());
  else
    EXPECT_KIND(digest, ErrorKind::kUnavailable);
}

TEST_P(UpstreamContract, ManyReadersAtOnce) {
  const ImageInfo image = info("image");
  std::atomic<int> right = 0;
  {
    std::vector<std::jthread> readers;
    for (int i = 0; i < 16; ++i)
      readers.emplace_back([&] {
        StringSink sink;
        if (upstream_->read(image, {0, image.size}, sink, {}) && sink.text == bytes_) ++right;
      });
  }
  EXPECT_EQ(right, 16);
}

TEST_P(UpstreamContract, StatsCountRequestsAndBytes) {
  const ImageInfo image = info("image");
  const uint64_t requests = upstream_->stats().requests, bytes = upstream_->stats().bytes;
  StringSink sink;
  ASSERT_TRUE(upstream_->read(image, {0, image.size}, sink, {}));
  EXPECT_EQ(upstream_->stats().requests, requests + server_->hops());
  EXPECT_EQ(upstream_->stats().bytes, bytes + image.size);
  EXPECT_EQ(upstream_->stats().errors, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Http, UpstreamContract,
    ::testing::Values(
        Backend{"nginx", [] { return std::make_unique<NginxImages>(); }},
        Backend{"nginx_json",
                [] { return std::make_unique<NginxImages>(NginxOptions{.autoindex = "json"}); }},
        Backend{"nginx_without_ranges",
                [] { return std::make_unique<NginxImages>(NginxOptions{.ranges = false}); }},
        Backend{"fault_server", [] { return std::make_unique<FaultServerImages>(); }},
        Backend{"glance", [] { return std::make_unique<FakeGlanceImages>(); }},
        Backend{"glance_with_a_token",
                [] { return std::make_unique<FakeGlanceImages>(FakeImage{}, "good"); }},
        Backend{"glance_whose_answers_are_chunked",
                [] { return std::make_unique<FakeGlanceImages>(FakeImage{.chunked = true}); }},
        Backend{"glance_without_ranges",
                [] {
                  return std::make_unique<FakeGlanceImages>(
                      FakeImage{.store = FakeStore::kNoRanges});
                }},
        Backend{"registry", [] { return std::make_unique<FakeRegistryImages>(); }},
        Backend{"registry_with_basic",
                [] { return std::make_unique<FakeRegistryImages>(RegistryKind{.basic = true}); }},
        Backend{"registry_with_tokens",
                [] { return std::make_unique<FakeRegistryImages>(RegistryKind{.bearer = true}); }},
        Backend{"registry_with_a_token_server",
                [] {
                  return std::make_unique<FakeRegistryImages>(RegistryKind{.token_server = true});
                }},
        Backend{"registry_that_redirects",
                [] {
                  return std::make_unique<FakeRegistryImages>(
                      RegistryKind{.bearer = true, .redirects = true});
                }},
        Backend{
            "registry_without_ranges",
            [] { return std::make_unique<FakeRegistryImages>(RegistryKind{.ranges = false}); }}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace imgcachefs
