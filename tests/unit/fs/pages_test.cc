// The pages of .imgcachefs/ (DESIGN 2.2).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fs/metrics_page.h"
#include "fs/status_page.h"

namespace imgcachefs {
namespace {

using testing::HasSubstr;
using testing::Not;

StoreStatus some_status() {
  StoreStatus status;
  status.space = {1000, 400, 2};
  status.max_size = 2000;
  status.chunk_size = 65536;
  status.driver = "sqlite";
  status.cached = 2;
  status.incomplete = 1;
  status.queued = 4;
  status.counters.hits = 11;
  status.counters.misses = 12;
  status.fills.push_back({ImageId::parse("a\"b").value(), 100, 50, 2.6, true});
  status.queue.push_back({ImageId::parse("q").value(), 2, Error{ErrorKind::kUnavailable, "refused"},
                          from_unix(1795149842)});
  status.queue.push_back({ImageId::parse("r").value(), 0, {}, {}});
  return status;
}

const MountFacts kFacts{"1.2", "http://h/", "/c\xff"};

TEST(StatusPage, HasTheKeysOfTheContractAndNoOther) {
  UpstreamStats upstream;
  upstream.requests = 7;
  upstream.bytes = 8;
  upstream.errors = 9;
  auto page = nlohmann::json::parse(status_page(kFacts, true, some_status(), upstream));
  auto expected = nlohmann::json::parse(R"({
    "version": "1.2", "source": "http://h/", "cache_dir": "/c\ufffd", "driver": "sqlite",
    "max_size": 2000, "used": 400, "chunk_size": 65536, "passthrough": "on",
    "images": {"cached": 2, "incomplete": 1, "invalid": 0, "queued": 4},
    "hits": 11, "misses": 12, "upstream": {"requests": 7, "bytes": 8, "errors": 9},
    "fills": [{"image_id": "a\"b", "size": 100, "cached_bytes": 50, "rate": 3, "whole": true}],
    "queue": [{"image_id": "q", "attempts": 2, "error": "refused", "kind": "unavailable",
               "next_try": "2026-11-20T04:44:02Z"},
              {"image_id": "r", "attempts": 0, "error": null, "kind": null, "next_try": null}]})");
  EXPECT_EQ(page, expected);
}

TEST(StatusPage, WithoutFillsHasAnEmptyList) {
  auto page = nlohmann::json::parse(status_page({}, false, {}, UpstreamStats{}));
  EXPECT_TRUE(page["fills"].is_array());
  EXPECT_TRUE(page["fills"].empty());
}

TEST(MetricsPage, IsPrometheusTextWithoutImageIds) {
  UpstreamStats upstream;
  upstream.bytes = 123456789012;
  const std::string page = metrics_page(kFacts, some_status(), upstream,
                                        {21, 22, {{"read", "EIO", 3}, {"read", "ESTALE", 1}}});
  EXPECT_THAT(page, HasSubstr("# TYPE imgcachefs_cache_hits_total counter\n"
                              "imgcachefs_cache_hits_total 11\n"));
  EXPECT_THAT(page, HasSubstr("imgcachefs_upstream_bytes_total 123456789012\n"));
  EXPECT_THAT(page, HasSubstr("imgcachefs_cache_free_bytes 600\n"));
  EXPECT_THAT(page, HasSubstr("# TYPE imgcachefs_cache_images gauge\n"
                              "imgcachefs_cache_images{state=\"cached\"} 2\n"
                              "imgcachefs_cache_images{state=\"incomplete\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("imgcachefs_fetches_in_flight 1\n"));
  EXPECT_THAT(page, HasSubstr("imgcachefs_build_info{version=\"1.2\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("imgcachefs_request_errors_total{op=\"read\",errno=\"EIO\"} 3\n"));
  EXPECT_THAT(page, HasSubstr("imgcachefs_cache_hit_bytes_total 21\n"));
  EXPECT_THAT(page, Not(HasSubstr("a\"b")));
  EXPECT_THAT(page, Not(HasSubstr("a\\\"b")));
}

}  // namespace
}  // namespace imgcachefs
