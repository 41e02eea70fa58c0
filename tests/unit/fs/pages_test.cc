// The pages of .imgcachefs/ (DESIGN 2.2).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fs/metrics_page.h"
#include "fs/request_counters.h"
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

const MountFacts kFacts{"1.2", "http://u:secret@h/", "/c\xff", from_unix(1795149842)};

TEST(StatusPage, HasTheKeysOfTheContractAndNoOther) {
  UpstreamStats upstream;
  upstream.requests = 7;
  upstream.bytes = 8;
  upstream.errors = 8;
  upstream.failed({ErrorKind::kUnavailable, "refused"});
  auto page = nlohmann::json::parse(status_page(kFacts, true, some_status(), upstream));
  page["upstream"]["last_error"]["time"] = "T";
  auto expected = nlohmann::json::parse(R"({
    "version": "1.2", "source": "http://u:secret@h/", "cache_dir": "/c\ufffd", "driver": "sqlite",
    "max_size": 2000, "used": 400, "chunk_size": 65536, "passthrough": "on",
    "images": {"cached": 2, "incomplete": 1, "invalid": 0, "queued": 4},
    "hits": 11, "misses": 12, "mounted_at": "2026-11-20T04:44:02Z",
    "upstream": {"requests": 7, "bytes": 8, "errors": 9, "retries": 0, "up": false,
                 "last_error": {"message": "refused", "time": "T"}},
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

TEST(StatusPage, SaysOfAnUpstreamThatWasNotAskedThatItIsNotKnown) {
  auto page = nlohmann::json::parse(status_page({}, false, {}, UpstreamStats{}));
  EXPECT_TRUE(page["upstream"]["up"].is_null());
  EXPECT_TRUE(page["upstream"]["last_error"].is_null());
}

RequestFigures some_requests() {
  RequestCounters counters;
  counters.read_hit(21);
  counters.read_miss(22);
  counters.opened_cached(true);
  { const RequestTimer timer = counters.begin(Operation::kOpen); }
  RequestFigures figures = counters.figures();
  figures.errors = {{"read", "EIO", 3}, {"read", "ESTALE", 1}};
  return figures;
}

std::string some_metrics(const UpstreamStats& upstream, const StoreStatus& status = some_status()) {
  return metrics_page(kFacts, status, upstream, some_requests(), process_figures());
}

TEST(MetricsPage, IsPrometheusTextWithoutImageIdsOrSecrets) {
  UpstreamStats upstream;
  upstream.bytes = 123456789012;
  const std::string page = some_metrics(upstream);
  EXPECT_THAT(page, HasSubstr("# TYPE imgcachefs_cache_hits_total counter\n"
                              "imgcachefs_cache_hits_total 11\n"));
  EXPECT_THAT(page,
              HasSubstr("imgcachefs_upstream_bytes_total{upstream=\"http://h/\"} 123456789012\n"));
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
  EXPECT_THAT(page, Not(HasSubstr("secret")));
}

TEST(MetricsPage, HasTheTimesOfRequestsInBucketsThatAddUp) {
  const std::string page = some_metrics(UpstreamStats{});
  EXPECT_THAT(page, HasSubstr("# TYPE imgcachefs_request_duration_seconds histogram\n"));
  EXPECT_THAT(page, HasSubstr("imgcachefs_requests_total{op=\"open\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("imgcachefs_request_duration_seconds_count{op=\"open\"} 1\n"));
  EXPECT_THAT(page,
              HasSubstr("imgcachefs_request_duration_seconds_bucket{op=\"open\",le=\"60\"} 1\n"));
  EXPECT_THAT(page,
              HasSubstr("imgcachefs_request_duration_seconds_bucket{op=\"open\",le=\"+Inf\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("imgcachefs_passthrough_opens_total{result=\"passthrough\"} 1\n"));
}

TEST(MetricsPage, SaysHowUpstreamIs) {
  UpstreamStats upstream;
  EXPECT_THAT(some_metrics(upstream), Not(HasSubstr("imgcachefs_upstream_up{")));
  upstream.answered(206, std::chrono::milliseconds(3));
  std::string page = some_metrics(upstream);
  EXPECT_THAT(page, HasSubstr("imgcachefs_upstream_up{upstream=\"http://h/\"} 1\n"));
  EXPECT_THAT(
      page,
      HasSubstr("imgcachefs_upstream_requests_total{upstream=\"http://h/\",code=\"206\"} 1\n"));
  upstream.failed({ErrorKind::kTimeout, "silent"});
  page = some_metrics(upstream);
  EXPECT_THAT(page, HasSubstr("imgcachefs_upstream_up{upstream=\"http://h/\"} 0\n"));
  EXPECT_THAT(
      page,
      HasSubstr("imgcachefs_upstream_errors_total{upstream=\"http://h/\",class=\"timeout\"} 1\n"));
}

TEST(MetricsPage, CountsWhatIsToBeFetchedOnce) {
  StoreStatus status = some_status();  // four are queued, and another is being filled whole
  EXPECT_THAT(some_metrics({}, status), HasSubstr("imgcachefs_background_fetch_pending 5\n"));
  status.fills[0].id = status.queue[0].id;
  EXPECT_THAT(some_metrics({}, status), HasSubstr("imgcachefs_background_fetch_pending 4\n"));
}

TEST(MetricsPage, SaysWhatTheDaemonCosts) {
  const ProcessFigures process = process_figures();
  EXPECT_GT(process.resident_bytes, 1'000'000u);
  EXPECT_GT(process.virtual_bytes, process.resident_bytes);
  EXPECT_GE(process.open_fds, 3u);
  EXPECT_GE(process.max_fds, process.open_fds);
  EXPECT_GE(process.threads, 1u);
  const double now = to_unix(std::chrono::system_clock::now());
  EXPECT_GT(process.start_time, now - 3600);
  EXPECT_LT(process.start_time, now + 2);
  EXPECT_THAT(some_metrics(UpstreamStats{}), HasSubstr("\nprocess_resident_memory_bytes "));
}

}  // namespace
}  // namespace imgcachefs
