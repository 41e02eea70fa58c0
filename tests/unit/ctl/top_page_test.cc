#include "ctl/top_page.h"

#include <algorithm>

#include "ctl/shown_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace imgcachefs {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::StartsWith;

constexpr uint64_t kGiB = 1 << 30;

TopSnapshot busy(size_t fills, size_t queued) {
  TopSnapshot snapshot;
  snapshot.mountpoint = "/mnt/images";
  snapshot.when = from_unix(1795149842);
  MountFigures& figures = snapshot.figures;
  figures.source = "http://images.example.org/";
  figures.used = 4 * kGiB;
  figures.max_size = 10 * kGiB;
  figures.images = {12, fills, 0, queued};
  figures.hits = 90;
  figures.misses = 10;
  figures.upstream.requests = 1234;
  figures.upstream.bytes = 3 * kGiB;
  figures.upstream.errors = 2;
  figures.upstream.up = true;
  for (size_t i = 0; i < fills; ++i)
    figures.fills[ImageId::parse("image-" + std::to_string(100 + i)).value()] = {kGiB, kGiB / 4,
                                                                                 kGiB / 64, true};
  for (size_t i = 0; i < queued; ++i)
    figures.queue[ImageId::parse("queued-" + std::to_string(100 + i)).value()] = {
        3, Error{ErrorKind::kUnavailable, "503 from\nupstream"}, "2026-11-20T04:49:02Z"};
  return snapshot;
}

Terminal of_size(size_t columns, size_t rows) {
  Terminal terminal;
  terminal.is_one = terminal.moves = true;
  terminal.columns = columns;
  terminal.rows = rows;
  return terminal;
}

TEST(TopPageTest, ShowsWhatIsGoingOn) {
  TopSnapshot snapshot = busy(1, 1);
  snapshot.rates = TopRates{12.34, 34.5 * (1 << 20), 0, 3, 1};
  const auto lines = top_page(snapshot, of_size(100, 24), "q ends");
  EXPECT_THAT(lines, Contains("/mnt/images  2026-11-20T04:44:02Z  http://images.example.org/"));
  EXPECT_THAT(lines,
              Contains("cache     [###########-----------------]  4.0 GiB of 10.0 GiB (40 %)"));
  EXPECT_THAT(lines, Contains("images    12 cached  1 incomplete  1 queued  0 invalid"));
  EXPECT_THAT(lines, Contains("hit rate  90 %  now 3 of 4  (90 hits, 10 misses)"));
  EXPECT_THAT(lines, Contains("upstream  34.5 MiB/s  12 requests/s  0.0 errors/s  "
                              "(3.0 GiB in 1234 requests, 2 errors)"));
  EXPECT_THAT(lines, Contains("filling (1)"));
  EXPECT_THAT(lines, Contains(StartsWith("image-100 [#")));
  EXPECT_THAT(lines, Contains(HasSubstr("  25 %    16.0 MiB/s     0:48 left")));
  EXPECT_THAT(lines,
              Contains("queued-100  3 failed, next try in 5 minutes: 503 from\\x0aupstream"));
  EXPECT_EQ(lines.back(), "q ends");
}

TEST(TopPageTest, SaysThatUpstreamIsDown) {
  TopSnapshot snapshot = busy(0, 0);
  snapshot.figures.upstream.up = false;
  snapshot.figures.upstream.last_error = "connection refused";
  const auto lines = top_page(snapshot, of_size(100, 24), "q ends");
  EXPECT_THAT(lines, Contains(StartsWith("upstream  down  (3.0 GiB in")));
  EXPECT_THAT(lines, Contains("          connection refused"));
}

TEST(TopPageTest, FitsEveryScreen) {
  for (size_t fills : {0, 1, 5, 100})
    for (size_t queued : {0, 1, 50}) {
      TopSnapshot snapshot = busy(fills, queued);
      snapshot.rates = TopRates{};
      for (size_t columns : {1, 10, 20, 40, 80, 200})
        for (size_t rows : {1, 2, 5, 8, 10, 24, 60}) {
          const auto lines = top_page(snapshot, of_size(columns, rows), "q ends");
          EXPECT_LE(lines.size(), rows);
          for (const std::string& line : lines) EXPECT_LE(width(line), columns) << line;
        }
    }
}

TEST(TopPageTest, SaysWhatItHasNoRoomFor) {
  const auto lines = top_page(busy(100, 50), of_size(80, 24), "q ends");
  EXPECT_EQ(lines.size(), 24u);
  const auto more = [&](const std::string& line) { return line.starts_with("... and "); };
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(), more), 2);
  const auto fill = [&](const std::string& line) { return line.starts_with("image-"); };
  const auto fills = std::count_if(lines.begin(), lines.end(), fill);
  EXPECT_THAT(lines, Contains("... and " + std::to_string(100 - fills) + " more"));
}

TEST(TopSnapshotTest, RatesAreSinceTheOneBefore) {
  TopSnapshot before = busy(0, 0), now = before;
  now.clock = before.clock + std::chrono::seconds(2);
  now.figures.upstream.requests += 10;
  now.figures.upstream.bytes += 4096;
  now.figures.upstream.errors += 1;
  now.figures.hits += 5;
  const auto rates = rates_since(before, now);
  ASSERT_TRUE(rates);
  EXPECT_DOUBLE_EQ(rates->requests, 5);
  EXPECT_DOUBLE_EQ(rates->bytes, 2048);
  EXPECT_DOUBLE_EQ(rates->errors, 0.5);
  EXPECT_EQ(rates->hits, 5u);
  EXPECT_EQ(rates->misses, 0u);
  EXPECT_FALSE(rates_since(before, before));  // no time between them
  now.figures.hits = 0;                       // a new daemon
  EXPECT_FALSE(rates_since(before, now));
}

}  // namespace
}  // namespace imgcachefs
